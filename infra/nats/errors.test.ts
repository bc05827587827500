/** What the server's errors mean for an append, by code and, where the code says little, by text. */
import { expect, it } from "vitest";
import { judge } from "./errors.ts";
import { headerBlock } from "./header-block.ts";

it.each([
  [10071, 400, "wrong last sequence: 7", "conflict"],
  [10164, 400, "wrong last sequence", "conflict"],
  [10077, 503, "maximum bytes exceeded", "full"],
  [10077, 503, "maximum messages exceeded", "full"],
  [10077, 503, "write /data/1.blk: no space left on device", "full"],
  [10077, 503, "store is closed", "retry"],
  [10047, 500, "insufficient storage resources available", "full"],
  [10023, 503, "insufficient resources", "full"],
  [10158, 409, "duplicate message id is in process", "retry"],
  [10163, 503, "expected last sequence per subject temporarily unavailable", "retry"],
  [10167, 429, "too many requests", "retry"],
  [10176, 400, "atomic publish batch is incomplete", "retry"],
  [10008, 503, "JetStream system temporarily unavailable", "retry"],
  [10054, 400, "message size exceeds maximum allowed", "refused"],
  [10174, 400, "atomic publish is disabled", "refused"],
  [10199, 400, "atomic publish batch is too large: 1000", "refused"],
] as const)("%i (%i %s) is %s", (err_code, code, description, verdict) => {
  expect(judge({ code, err_code, description })).toBe(verdict);
});

it("writes headers as NATS reads them, and none that would begin another", () => {
  const block = headerBlock([
    ["Nats-Msg-Id", "a1"],
    ["Tidemark-Key", "Zürich: Ost"],
  ]);
  expect(new TextDecoder().decode((block as unknown as { encode(): Uint8Array }).encode())).toBe(
    "NATS/1.0\r\nNats-Msg-Id: a1\r\nTidemark-Key: Zürich: Ost\r\n\r\n",
  );
  expect(() => headerBlock([["Tidemark-Key", "a\r\nNats-Rollup: all"]])).toThrow(RangeError);
});
