/** A gRPC client that nobody here wrote: Debian's Python, from the published proto files. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startSystemProcess, type SystemProcess } from "../system-process.suite.ts";
import { debianPython, type DebianPython } from "./python.suite.ts";

const SETUP_MS = 300_000;

let python: DebianPython;
let system: SystemProcess;
let stubs: string;
beforeAll(async () => {
  stubs = await mkdtemp(join(tmpdir(), "tidemark-stubs-"));
  python = await debianPython();
  await python.generateStubs(stubs);
  system = await startSystemProcess("projections/flights/flights.ts", "--workers", "1");
}, SETUP_MS);
afterAll(async () => {
  expect(await system?.stop()).toBe(0);
  await rm(stubs, { recursive: true, force: true });
});

it("publishes and reads", async () => {
  const script = join(import.meta.dirname, "client.py");
  const seen: unknown = JSON.parse(await python.run(script, stubs, [system.run.gateway]));
  expect(seen).toMatchObject({
    publish: "VERDICT_STORED",
    batch: ["VERDICT_STORED", "VERDICT_INVALID", "VERDICT_STORED"],
    rejected: [[1, "key"]],
    stream: [["VERDICT_STORED"], ["VERDICT_STORED"]],
    unknown_topic: ["NOT_FOUND", expect.stringContaining('unknown topic "nowhere"')],
    subscribed: "ORD",
    result: {
      projection: "departures-by-origin",
      key: "ORD",
      window: { start: "978307200000", end: "978310800000" },
      kind: "KIND_FINAL",
      revision: 1,
      // The first event came twice and counts once; the third does not say its delay.
      values: [
        { name: "departures", value: { int_value: "3" } },
        { name: "meanDelay", value: { double_value: 4 } },
        { name: "minDelay", value: { int_value: "-4" } },
        { name: "maxDelay", value: { int_value: "12" } },
      ],
    },
    listed: 1,
  });
});
