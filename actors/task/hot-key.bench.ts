/**
 * What a hot key costs its partition's neighbours: each kind of projection over events of 10,000 keys, and over
 * the same events when 90 % of them are of one key.
 *
 *     node --import tsx actors/task/hot-key.bench.ts [events] [keys] [of one kind]
 *
 * Reports CPU time an event, and the longest that one record batch kept the partition; asserts nothing about
 * time. It does check results: what the neighbours get must be, bit for bit, what they get when the hot key's
 * events are of a type that the projection does not take. Events come in batches of 500, ten a millisecond, up
 * to a second out of order.
 */
import { createHash } from "node:crypto";
import { assign, emit, setup } from "xstate";
import type { EventObject } from "xstate";
import { Commit, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import {
  begin,
  calendar,
  count,
  distinct,
  each,
  early,
  field,
  fold,
  global,
  hopping,
  join,
  left,
  pattern,
  projection,
  quantile,
  right,
  session,
  skipPastLastEvent,
  sliding,
  statechart,
  sum,
  topic,
  tumbling,
} from "../../projections/index.ts";
import type { ProjectionDefinition } from "../../projections/index.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { seeded } from "../accumulate/accumulators.suite.ts";
import { Intake } from "../intake/intake.ts";
import { makeCore } from "./cores.ts";

const BATCH = 500;
const COMMIT_EVERY = 16;
const HOT = "hot";
const HOT_SHARE = 0.9;
const [eventCount = 200_000, keyCount = 10_000] = process.argv.slice(2, 4).map(Number);
const wanted = process.argv[4];

const MESSAGES = ["Reading", "Left", "Right", "Other"];
const schemas = parseSchema(
  `syntax = "proto3"; ${MESSAGES.map((name) => `message ${name} { int64 value = 1; }`).join(" ")}`,
);
const readings = topic("readings", {
  schemas: ["readings.proto"],
  types: MESSAGES,
  partitions: 1,
  maxOutOfOrderness: "1 second",
});
const source = { source: readings, types: ["Reading"] };
const aggregates = { readings: count(), total: sum(field("value")) };

const machine = setup({
  types: { context: {} as { readonly n: number }, events: {} as EventObject },
  guards: { tenth: ({ context }) => context.n % 10 === 9 },
}).createMachine({
  context: { n: 0 },
  initial: "open",
  states: {
    open: {
      on: {
        Reading: [
          { guard: "tenth", target: "full", actions: emit({ type: "full" }) },
          { actions: assign({ n: ({ context }) => context.n + 1 }) },
        ],
      },
    },
    full: { entry: assign({ n: 0 }), after: { 1_000: "open" }, on: { Reading: "open" } },
  },
});

const sides = {
  left: { source: readings, types: ["Left"] },
  right: { source: readings, types: ["Right"] },
  values: { waited: right.event.time.subtract(left.event.time) },
};

const CASES: Readonly<Record<string, ProjectionDefinition>> = {
  tumbling: projection("p", { ...source, window: tumbling("1 second"), aggregates }),
  hopping: projection("p", {
    ...source,
    window: hopping("5 seconds", { every: "1 second" }),
    aggregates,
  }),
  sliding: projection("p", { ...source, window: sliding("1 second"), aggregates }),
  "sliding, 1 minute": projection("p", { ...source, window: sliding("1 minute"), aggregates }),
  "sliding, early": projection("p", {
    ...source,
    window: sliding("1 second"),
    aggregates,
    emit: early({ everyEventTime: "500 ms" }),
  }),
  session: projection("p", { ...source, window: session({ gap: "100 ms" }), aggregates }),
  "session, early": projection("p", {
    ...source,
    window: session({ gap: "100 ms" }),
    aggregates,
    emit: early({ everyEventTime: "500 ms" }),
  }),
  "session, each": projection("p", {
    ...source,
    window: session({ gap: "100 ms" }),
    aggregates,
    emit: each(),
  }),
  calendar: projection("p", {
    ...source,
    window: calendar("hour", { zone: "Europe/Berlin" }),
    aggregates,
  }),
  "global, each": projection("p", { ...source, window: global(), aggregates, emit: each() }),
  "sketches, hopping": projection("p", {
    ...source,
    window: hopping("5 seconds", { every: "1 second" }),
    aggregates: { values: distinct(field("value")), p99: quantile(field("value"), 0.99) },
  }),
  fold: fold("p", {
    ...source,
    state: () => ({ n: 0, sum: 0 }),
    reduce: (state: { n: number; sum: number }, { data }) => ({
      n: state.n + 1,
      sum: state.sum + Number(data["value"]),
    }),
    ttl: "1 minute",
  }),
  statechart: statechart("p", { ...source, machine }),
  pattern: pattern("p", {
    ...source,
    pattern: begin("low", field("value").lt(100))
      .followedBy("high", field("value").gt(899))
      .within("1 second"),
    skip: skipPastLastEvent(),
  }),
  "interval join": join("p", { ...sides, within: { after: "2 ms" } }),
  "as-of join": join("p", { ...sides, asOf: { ttl: "1 minute" }, mode: "left" }),
};

type Load = "even" | "hot" | "without";

/** The same events of the same times in each load; in "hot" and "without" 90 % of them are of one key. */
const batchesOf = (load: Load, typeOf: (side: number) => string): Uint8Array[] => {
  const random = seeded(7);
  const batches: Uint8Array[] = [];
  for (let at = 0; at < eventCount; at += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, eventCount - at) }, (_, i) => {
      const hot = random() < HOT_SHARE && load !== "even";
      const key = `key-${Math.floor(random() * keyCount)}`;
      const type = typeOf(random());
      const eventTime = 1_000_000 + Math.floor((at + i) / 10) - Math.floor(random() * 1_000);
      const value = Math.floor(random() * 1_000);
      return {
        id: `event-${at + i}`,
        type: hot && load === "without" ? "Other" : type,
        key: hot ? HOT : key,
        eventTime,
        data: {
          $case: "protobuf" as const,
          value: Buffer.from(schemas.toBinary(type, `{"value":"${value}"}`)),
        },
      };
    });
    batches.push(
      RecordBatch.encode({
        ingestTime: 2_000_000,
        events,
        tick: undefined,
        rekeyed: undefined,
      }).finish(),
    );
  }
  return batches;
};

interface Figures {
  readonly nanoseconds: number;
  readonly longestMs: number;
  readonly updates: number;
  readonly neighbours: string;
}

const ROUNDS = 3;

const measure = (definition: ProjectionDefinition, batches: readonly Uint8Array[]): Figures => {
  const plan = planProjection(definition, planTopic(readings, schemas));
  let nanoseconds = Number.POSITIVE_INFINITY;
  let longestMs = Number.POSITIVE_INFINITY;
  let updates = 0;
  const neighbours = createHash("sha256");
  for (let round = 0; round < ROUNDS; round++) {
    const intake = new Intake(plan.topic, plan.columns);
    const core = makeCore(plan, 1, 0);
    const fragments: Uint8Array[] = [];
    let longest = 0;
    const cpu = process.cpuUsage();
    batches.forEach((bytes, at) => {
      const before = performance.now();
      core.apply(intake.read(at + 1, bytes));
      if (at % COMMIT_EVERY === COMMIT_EVERY - 1 || at === batches.length - 1) {
        core.digest();
        fragments.push(...core.take().fragments);
      }
      longest = Math.max(longest, performance.now() - before);
    });
    const { user, system } = process.cpuUsage(cpu);
    nanoseconds = Math.min(nanoseconds, ((user + system) * 1_000) / eventCount);
    longestMs = Math.min(longestMs, longest);
    if (round > 0) continue;
    for (const fragment of fragments) {
      for (const update of Commit.decode(fragment).updates) {
        updates++;
        if (update.key !== HOT) neighbours.update(Update.encode(update).finish());
      }
    }
  }
  return { nanoseconds, longestMs, updates, neighbours: neighbours.digest("hex") };
};

const HEADS = [
  "",
  "even ns",
  "hot ns",
  "ratio",
  "even ms",
  "hot ms",
  "even results",
  "hot results",
];
const line = (cells: readonly string[]): void => {
  const [name = "", ...rest] = cells;
  process.stdout.write(`${name.padEnd(18)} ${rest.map((cell) => cell.padStart(12)).join(" ")}\n`);
};

let wrong = 0;
line([...HEADS, "neighbours"]);
const reading = () => "Reading";
const eitherSide = (at: number) => (at < 0.5 ? "Left" : "Right");
const LOADS = { reading, eitherSide };
const loads = new Map(
  Object.entries(LOADS).map(([name, typeOf]) => [
    name,
    {
      even: batchesOf("even", typeOf),
      hot: batchesOf("hot", typeOf),
      without: batchesOf("without", typeOf),
    },
  ]),
);
for (const [name, definition] of Object.entries(CASES)) {
  if (wanted !== undefined && wanted !== name) continue;
  const load = loads.get(definition.kind === "join" ? "eitherSide" : "reading")!;
  const even = measure(definition, load.even);
  const hot = measure(definition, load.hot);
  const same = measure(definition, load.without).neighbours === hot.neighbours;
  if (!same) wrong++;
  line([
    name,
    even.nanoseconds.toFixed(0),
    hot.nanoseconds.toFixed(0),
    (hot.nanoseconds / even.nanoseconds).toFixed(2),
    even.longestMs.toFixed(1),
    hot.longestMs.toFixed(1),
    String(even.updates),
    String(hot.updates),
    same ? "as alone" : "WRONG",
  ]);
}
process.exitCode = wrong === 0 ? 0 : 1;
