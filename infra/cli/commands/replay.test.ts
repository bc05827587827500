/** What a promotion is compared as of, with a gateway of a few lines. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Effect } from "effect";
import { expect, test } from "vitest";
import type { RunFile } from "../../processes/run-file.ts";
import { plain } from "../terminal/colour.ts";
import { ShownBuild, findDifferences } from "./replay.ts";

/** A gateway that has read further each time that it is asked. */
const gatewayAt = (positions: readonly number[]) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      let asked = 0;
      const server = createServer((_, response) => {
        const position = positions[Math.min(asked++, positions.length - 1)];
        response.end(JSON.stringify({ query: { position, caughtUp: true } }));
      });
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo;
        const close = () => server.close();
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }));
      });
    }),
    ({ close }) => Effect.sync(close),
  );

test("it is compared as of what the gateway has read, not of the end of RESULTS", async () => {
  const compared: number[] = [];
  const replay = {
    differences: (comparedAt: number) => {
      compared.push(comparedAt);
      return Effect.succeed({ comparedAt, fragments: [], changed: 0, retracted: 0 });
    },
  };
  const client = { async *listResults() {} };
  const found = await Effect.runPromise(
    Effect.gen(function* () {
      // The new version ends at 7. What follows are commits of routed events, which no gateway reads.
      const gateway = yield* gatewayAt([3, 6, 7]);
      const run = { processes: [{ name: "gateway", metrics: gateway.url }] } as unknown as RunFile;
      return yield* findDifferences(replay, { resultsSequence: 7 }, "p", client, run);
    }).pipe(Effect.scoped),
  );
  expect(compared).toEqual([7]);
  expect(found.differences?.comparedAt).toBe(7);
});

test("a build that keys its events anew shows each of its two logs with its own size", () => {
  const written: string[] = [];
  const output = {
    isTerminal: false,
    columns: 80,
    paint: plain,
    write: (text: string) => void written.push(text.slice(0, text.indexOf(" batches"))),
  };
  const shown = new ShownBuild(output, () => 0);
  const step = (phase: "rekeying" | "reading" | "done", records: number, recordsTotal: number) =>
    shown.update({ phase, records, recordsTotal, bytes: 0, events: 0 });
  step("rekeying", 0, 0);
  step("rekeying", 40, 86);
  step("rekeying", 86, 86);
  step("reading", 86, 116);
  step("reading", 116, 116);
  step("done", 116, 116);
  shown.finish();
  expect(written).toEqual([
    "Re-keying  100 %  86 of 86 record",
    "Replaying  100 %  30 of 30 record",
  ]);
});
