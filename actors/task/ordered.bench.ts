/**
 * Events a second and core through ordered projections: decoded, ordered and handed to folds,
 * statecharts and a pattern, with all that surrounds them (intake, books, digest of every batch),
 * without log and commit.
 *
 *     node --import tsx actors/task/ordered.bench.ts [keys] [events a batch] [CPU seconds each] [name]
 *
 * Reports; asserts nothing about time. Events are slightly out of order. The checksum says that the
 * same work was done: it depends on keys and batch alone. With a name, or a part of one, only what is
 * called so runs: alone in its process, it shares no compiled code with other kinds.
 */
import { createHash } from "node:crypto";
import { assign, emit, not, setup } from "xstate";
import type { EventObject } from "xstate";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { begin, field, pattern, skipPastLastEvent, topic } from "../../projections/index.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { FoldEvent, ProjectionDefinition } from "../../projections/definition/definition.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { Intake } from "../intake/intake.ts";
import { makeCore } from "./cores.ts";

const [keys = 1_000, batchSize = 500, seconds = 5] = process.argv.slice(2, 5).map(Number);
const only = process.argv[5] ?? "";
const DISORDER_MS = 50;
const BATCHES = 400;

const schemas = parseSchema(`
  syntax = "proto3";
  package bench;
  message Reading { int64 value = 1; string kind = 2; }
`);

const source = topic("bench", {
  schemas: ["/bench.proto"],
  types: ["bench.Reading"],
  partitions: 1,
  maxOutOfOrderness: DISORDER_MS,
  maxFutureSkew: 1e9,
  dedupeHorizon: 1_000,
});
const topicPlan = planTopic(source, schemas);

let seed = 7;
const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;

const batches = Array.from({ length: BATCHES }, (_, batch) =>
  RecordBatch.encode({
    ingestTime: 1_000_000 + batch * 10,
    events: Array.from({ length: batchSize }, (_, i) => ({
      id: `${batch}-${i}`,
      type: "bench.Reading",
      key: `key-${Math.floor(random() * keys)}`,
      eventTime: 1_000_000 + batch * 10 - Math.floor(random() * DISORDER_MS),
      data: {
        $case: "protobuf" as const,
        value: Buffer.from(
          schemas.toBinary(
            "bench.Reading",
            `{"value":"${Math.floor(random() * 1_000)}","kind":"a"}`,
          ),
        ),
      },
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish(),
);

const BASE = {
  description: "",
  topic: "bench",
  types: [],
  where: undefined,
  key: { event: "key" },
  subjects: { by: "key" },
} as const;

const FOLD = {
  ...BASE,
  kind: "fold",
  order: "time",
  state: () => ({ n: 0, sum: 0 }),
  reduce: (state: { n: number; sum: number }, { data }: FoldEvent) => ({
    n: state.n + 1,
    sum: state.sum + Number(data["value"]),
  }),
  version: "",
} as const;

const CASES: ProjectionDefinition[] = [
  {
    ...FOLD,
    name: "fold-two-fields",
    ttlMs: 60_000,
    values: undefined,
    emit: { mode: "final" },
  },
  // With a thousand keys, one life in seven ends after each event.
  {
    ...FOLD,
    name: "fold-forgotten",
    ttlMs: 40,
    values: { mean: ({ n, sum }: { n: number; sum: number }) => sum / n },
    emit: { mode: "each" },
  },
];

const machine = setup({
  types: { context: {} as { readonly n: number }, events: {} as EventObject },
  guards: { tenth: ({ context }) => context.n % 10 === 9 },
}).createMachine({
  context: { n: 0 },
  initial: "open",
  states: {
    open: {
      on: {
        "bench.Reading": [
          { guard: "tenth", target: "full", actions: emit({ type: "full" }) },
          { actions: assign({ n: ({ context }) => context.n + 1 }) },
        ],
      },
    },
    full: {
      entry: assign({ n: 0 }),
      after: { 1_000: "open" },
      on: { "bench.Reading": "open" },
    },
  },
});

CASES.push({
  ...BASE,
  name: "statechart-two-states",
  kind: "statechart",
  machine,
  toEvent: undefined,
  version: "",
});

const parallel = setup({
  types: { context: {} as { readonly high: number }, events: {} as EventObject },
  guards: { high: ({ event }) => Number((event as unknown as FoldEvent).data["value"]) > 500 },
}).createMachine({
  type: "parallel",
  context: { high: 0 },
  states: {
    level: {
      initial: "low",
      states: {
        low: { on: { "bench.Reading": { guard: "high", target: "high" } } },
        high: {
          entry: assign({ high: ({ context }) => context.high + 1 }),
          on: { "bench.Reading": { guard: not("high"), target: "low" } },
        },
      },
    },
    watch: {
      initial: "waiting",
      states: {
        waiting: { always: { guard: ({ context }) => context.high >= 3, target: "raised" } },
        raised: {
          entry: [emit({ type: "raised" }), assign({ high: 0 })],
          on: { "bench.Reading": "waiting" },
        },
      },
    },
  },
});

CASES.push({
  ...BASE,
  name: "statechart-parallel",
  kind: "statechart",
  machine: parallel,
  toEvent: undefined,
  version: "",
});

CASES.push(
  pattern("pattern-low-then-high", {
    source,
    pattern: begin("low", field("value").lt(100))
      .followedBy("high", field("value").gt(900))
      .within("1 second"),
    skip: skipPastLastEvent(),
  }),
);

const measure = (plan: ProjectionPlan): void => {
  let events = 0;
  let best = 0;
  let checksum = "";
  // Of the processor, not of the clock: on a busy machine code would not be compiled before the end.
  const start = process.cpuUsage();
  const spent = () => process.cpuUsage(start).user / 1e6;
  while (spent() < seconds) {
    const intake = new Intake(plan.topic, plan.columns);
    const core = makeCore(plan, 1, 0);
    const hash = createHash("sha256");
    const cpu = process.cpuUsage();
    batches.forEach((bytes, i) => {
      core.apply(intake.read(i + 1, bytes));
      hash.update(core.digest());
      for (const fragment of core.take().fragments) hash.update(fragment);
    });
    const { user, system } = process.cpuUsage(cpu);
    events = BATCHES * batchSize;
    best = Math.max(best, events / ((user + system) / 1e6));
    checksum = hash.digest("hex").slice(0, 12);
  }
  process.stdout.write(
    `${plan.definition.name.padEnd(22)} ${String(Math.round(best / 1_000)).padStart(6)}k events/s a core  ` +
      `checksum ${checksum}\n`,
  );
};

for (const definition of CASES) {
  if (definition.name.includes(only)) measure(planProjection(definition, topicPlan));
}
