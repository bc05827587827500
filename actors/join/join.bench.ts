/**
 * Nanoseconds of CPU an event for joins, from record batches to encoded results, with a checksum of all that
 * was published: the same for the same number of events, on any machine.
 *
 *     node --import tsx actors/join/join.bench.ts [events]
 *
 * Reports; asserts nothing about time. 1,000 events a batch over 1,000 keys, a millisecond apart, half of
 * them left and half right.
 */
import { createHash } from "node:crypto";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { seeded } from "../accumulate/accumulators.suite.ts";
import { Intake } from "../intake/intake.ts";
import { makeCore } from "../task/cores.ts";

const BATCH = 1_000;
const KEYS = 1_000;
const [events = 200_000] = process.argv.slice(2).map(Number);

const schemas = parseSchema('syntax = "proto3"; message Left {} message Right {}');
const topic = planTopic(
  {
    name: "bench",
    partitions: 1,
    schemas: ["/bench.proto"],
    types: ["Left", "Right"],
    maxOutOfOrdernessMs: 1_000,
    maxFutureSkewMs: 1e12,
    dedupeHorizonMs: 0,
    idleAfterMs: 1,
    retentionMs: 1,
    maxBytes: -1,
  },
  schemas,
);

const random = seeded(1);
const none = { $case: "protobuf" as const, value: Buffer.alloc(0) };
const batches = Array.from({ length: Math.ceil(events / BATCH) }, (_, batch) =>
  RecordBatch.encode({
    ingestTime: 1,
    events: Array.from({ length: BATCH }, (_, i) => ({
      id: `${batch}-${i}`,
      type: random() < 0.5 ? "Left" : "Right",
      key: `k${Math.floor(random() * KEYS)}`,
      eventTime: batch * BATCH + i,
      data: none,
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish(),
);

const timeOf = (side: string) => ({ event: "time", side });
const waited = { op: "subtract", args: [timeOf("right"), timeOf("left")] };
const CASES = {
  "within, inner": { within: { afterMs: 4_000 } },
  "within, left": { within: { afterMs: 4_000 }, mode: "left" },
  "as of, left": { asOf: {}, mode: "left" },
};

for (const [name, match] of Object.entries(CASES)) {
  const definition: unknown = {
    kind: "join",
    name: "bench",
    topic: "bench",
    left: { types: ["Left"] },
    right: { types: ["Right"] },
    values: { waited },
    ...match,
  };
  const plan = planProjection(definition as JoinProjection, topic);
  const intake = new Intake(topic, plan.columns);
  const core = makeCore(plan, 1, 0);
  const published = createHash("sha256");
  let results = 0;
  const cpu = process.cpuUsage();
  batches.forEach((bytes, index) => {
    core.apply(intake.read(index + 1, bytes));
    const draft = core.take();
    results += draft.updates;
    for (const fragment of draft.fragments) published.update(fragment);
  });
  const { user, system } = process.cpuUsage(cpu);
  const each = Math.round(((user + system) * 1_000) / (batches.length * BATCH));
  process.stdout.write(
    `${name.padEnd(16)} ${String(each).padStart(6)} ns an event  ${String(results).padStart(8)} results  ` +
      `sha256 ${published.digest("hex").slice(0, 16)}\n`,
  );
}
