/**
 * Nanoseconds of CPU an event through one partition's way: intake, then a projection of counts and sums.
 *
 *     node --import tsx actors/task/partition.bench.ts [events] [keys]
 *
 * Reports; asserts nothing about time. The load is the one of `npm run bench`: about 100 bytes an event,
 * out of order, every id its own. The digest of the state tells whether two runs computed the same.
 */
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { count, field, projection, sum, topic, tumbling } from "../../projections/index.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { ByteWriter, tagOf } from "../kernel/byte-writer.ts";
import { ProjectionCore } from "./projection-core.ts";
import { Intake } from "../intake/intake.ts";

const BATCH = 500;
const [events = 2_000_000, keys = 10_000] = process.argv.slice(2).map(Number);

const schemas = parseSchema(
  'syntax = "proto3"; package bench; message Reading { uint32 value = 1; string note = 2; }',
);
const bench = topic("bench", {
  schemas: ["/schema.proto"],
  types: ["bench.Reading"],
  partitions: 1,
  maxOutOfOrderness: "5 seconds",
});
const readings = projection("readings", {
  source: bench,
  window: tumbling("10 seconds"),
  aggregates: { readings: count(), total: sum(field("value")) },
});
const plan = planProjection(readings, planTopic(bench, schemas));

let seed = 1;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 4_294_967_296) * below);
};
const encoder = new TextEncoder();
const type = encoder.encode("bench.Reading");
const note = encoder.encode("n".repeat(40));
const start = Date.UTC(2020, 0, 1);
const batches: Uint8Array[] = [];
const event = new ByteWriter(256);
const payload = new ByteWriter(128);
for (let number = 0; number < events;) {
  const batch = new ByteWriter(64 * 1024);
  batch.varintField(tagOf(1, 0), start + Math.floor(number / 100));
  for (let i = 0; i < BATCH; i++, number++) {
    payload.reset();
    payload.varintField(tagOf(1, 0), random(1_000));
    payload.bytesField(tagOf(2, 2), note);
    event.reset();
    event.bytesField(tagOf(1, 2), encoder.encode(`run0-${number}`));
    event.bytesField(tagOf(2, 2), type);
    event.bytesField(
      tagOf(3, 2),
      encoder.encode(`device-${String(random(keys)).padStart(5, "0")}`),
    );
    event.varintField(tagOf(4, 0), start + Math.floor(number / 100) - random(2_000));
    event.bytesField(tagOf(5, 2), payload.bytes.subarray(0, payload.length));
    batch.bytesField(tagOf(2, 2), event.bytes.subarray(0, event.length));
  }
  batches.push(batch.finish());
}

const timed = (label: string, run: () => string): void => {
  const cpu = process.cpuUsage();
  const note = run();
  const { user, system } = process.cpuUsage(cpu);
  const nanoseconds = ((user + system) * 1_000) / events;
  process.stdout.write(
    `${label.padEnd(24)} ${nanoseconds.toFixed(0).padStart(6)} ns an event  ` +
      `${(1_000 / nanoseconds).toFixed(2).padStart(6)} M events a CPU second  ${note}\n`,
  );
};

const intakeOnly = (): string => {
  const intake = new Intake(plan.topic, plan.columns);
  batches.forEach((bytes, at) => intake.read(at + 1, bytes));
  return `watermark ${intake.watermarkAfter}`;
};
const whole = (): string => {
  const intake = new Intake(plan.topic, plan.columns);
  const core = new ProjectionCore(plan, 1, 0);
  batches.forEach((bytes, at) => {
    core.apply(intake.read(at + 1, bytes));
    if (at % 32 === 31) {
      core.digest();
      core.take();
    }
  });
  return `digest ${Buffer.from(core.digest()).toString("hex")}`;
};
timed("warming up", whole);
timed("intake", intakeOnly);
timed("intake and projection", whole);
