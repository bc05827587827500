/**
 * Nanoseconds of CPU an event for each aggregate: adding it to its slot, and what one slot's state and
 * value then cost to write.
 *
 *     node --import tsx actors/task/aggregates.bench.ts [slots] [milliseconds each]
 *
 * Reports; asserts nothing about time. Inputs: 1,000 events a batch over `slots` keys; integers of a
 * lognormal shape, strings of a zipf shape.
 */
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import type { ExpressionType } from "../../projections/definition/expression.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { seeded, vectorOf } from "../accumulate/accumulators.suite.ts";
import { makeAccumulator } from "../accumulate/aggregates.ts";

const BATCH = 1_000;
const BATCHES = 50;
const [slotCount = 100, milliseconds = 1_000] = process.argv.slice(2).map(Number);

const random = seeded(1);
const lognormal = (): number =>
  Math.round(Math.exp(2 + 2 * (random() + random() + random() - 1.5)));
const zipf = (): string => `page/${Math.floor(1 / (1 - random()))}`;
const batches = (type: ExpressionType, one: () => bigint | number | string) =>
  Array.from({ length: BATCHES }, () => {
    const vector = vectorOf(type, Array.from({ length: BATCH }, one));
    vector.times = Float64Array.from({ length: BATCH }, () => random() * 1e6);
    return vector;
  });

const INPUTS = {
  integer: batches("integer", () => BigInt(lognormal())),
  double: batches("double", () => lognormal() * 1.1),
  string: batches("string", zipf),
} as const;

const of = { field: "x" };
const CASES: readonly (readonly [keyof typeof INPUTS, AggregateDefinition])[] = [
  ["integer", { fn: "count" }],
  ["integer", { fn: "sum", of }],
  ["integer", { fn: "variance", of, population: false }],
  ["double", { fn: "variance", of, population: false }],
  ["integer", { fn: "last", of }],
  ["string", { fn: "last", of }],
  ["integer", { fn: "distinct", of, precision: 12, sketch: false }],
  ["string", { fn: "distinct", of, precision: 12, sketch: false }],
  ["integer", { fn: "quantile", of, q: 0.99, relativeError: 0.01, sketch: false }],
  ["string", { fn: "topK", of, k: 10, capacity: 256, sketch: false }],
  ["string", { fn: "collect", of, limit: 100 }],
];

const rows = Int32Array.from({ length: BATCH }, (_, i) => i);
const slots = rows.map(() => Math.floor(random() * slotCount));

for (const [type, definition] of CASES) {
  const accumulator = makeAccumulator({ name: "x", definition, inputType: type });
  accumulator.grow(slotCount);
  for (let slot = 0; slot < slotCount; slot++) accumulator.clear(slot);
  const vectors = INPUTS[type];
  const nanoseconds = (count: number, run: (i: number) => void): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0, end = performance.now() + milliseconds / 3; performance.now() < end;) {
      const cpu = process.cpuUsage();
      for (let round = 0; round < 50; round++) run(i++);
      const { user, system } = process.cpuUsage(cpu);
      best = Math.min(best, ((user + system) * 1_000) / (50 * count));
    }
    return Math.round(best);
  };
  const adding = nanoseconds(BATCH, (i) =>
    accumulator.accumulate(slots, rows, BATCH, vectors[i % BATCHES]),
  );
  const out = new ByteWriter(65_536);
  const writing = nanoseconds(1, (i) => {
    out.reset();
    accumulator.write(i % slotCount, out);
  });
  const bytes = out.length;
  const valuing = nanoseconds(1, (i) => {
    out.reset();
    accumulator.writeValue(i % slotCount, out);
  });
  process.stdout.write(
    `${`${definition.fn} of ${type}`.padEnd(22)} ${String(adding).padStart(5)} ns an event  ` +
      `${String(writing).padStart(7)} ns and ${String(bytes).padStart(6)} bytes a state  ` +
      `${String(valuing).padStart(7)} ns a value\n`,
  );
}
