/** A join with a compacted topic as its table, logs for it, and passes of compaction over them, in memory. */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { JoinProjection, TopicDefinition } from "../../projections/definition/definition.ts";
import { isCompacted } from "../../projections/definition/compacted-source.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { JoinPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { Intake } from "../intake/intake.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import { Compaction } from "./compaction.ts";
import type { CompactionRules } from "./compaction.ts";

export interface Stored {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export const SKEW_MS = 5;
export const HORIZON_MS = 20;

const schemas = parseSchema(`
  syntax = "proto3";
  message Order { int32 number = 1; }
  message Price { int32 cents = 1; }
  message Gone {}
`);

const settings = {
  partitions: 1,
  schemas: ["/prices.proto"],
  maxFutureSkewMs: SKEW_MS,
  dedupeHorizonMs: HORIZON_MS,
  idleAfterMs: 1,
  retentionMs: 5_000,
  maxBytes: -1,
};

type Settings = Partial<Omit<TopicDefinition, "name" | "types">>;

export const ordersOf = (changes: Settings = {}): TopicPlan =>
  planTopic(
    { ...settings, name: "orders", types: ["Order"], maxOutOfOrdernessMs: 3, ...changes },
    schemas,
  );
export const pricesOf = (changes: Settings = {}): TopicPlan =>
  planTopic(
    {
      ...settings,
      name: "prices",
      types: ["Price", "Gone"],
      maxOutOfOrdernessMs: 3,
      compacted: true,
      ...changes,
    },
    schemas,
  );
export const prices = pricesOf();

/** Every order, with the price as of its own time. */
export const planOf = (
  ttlMs: number | undefined,
  { name = "priced", ...changes }: Settings & { readonly name?: string } = {},
): JoinPlan =>
  planProjection(
    {
      kind: "join",
      name,
      left: { topic: "orders" },
      right: { topic: "prices" },
      asOf: { deleted: { op: "eq", args: [{ event: "type" }, { literal: "Gone" }] }, ttlMs },
      mode: "left",
      values: {
        order: { event: "id", side: "left" },
        price: { event: "id", side: "right" },
      },
    } as unknown as JoinProjection,
    ordersOf(changes),
    [pricesOf(changes)],
  );

export interface Drawn {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  readonly type: "Order" | "Price" | "Gone" | "Unknown";
  readonly broken?: boolean;
}

export interface Batch {
  /** Time of ingest. */
  readonly now: number;
  /** No events: a tick. */
  readonly events: readonly Drawn[];
}

export const encode = ({ now, events }: Batch): Uint8Array =>
  RecordBatch.encode({
    ingestTime: now,
    events: events.map(({ id, key, time, type, broken = false }, index) => ({
      id,
      type,
      key,
      eventTime: time,
      data: {
        $case: "protobuf" as const,
        value: Buffer.from(
          broken
            ? [0x08]
            : type === "Gone"
              ? []
              : new BinaryWriter().uint32(8).int32(index).finish(),
        ),
      },
    })),
    tick: events.length === 0 ? { time: now } : undefined,
    rekeyed: undefined,
  }).finish();

interface LogShape {
  readonly types: readonly Drawn["type"][];
  readonly idPrefix: string;
  readonly ids: number;
  readonly keys: readonly string[];
  readonly stepMax: number;
  readonly batchesMax: number;
}

const logs = (shape: LogShape): fc.Arbitrary<readonly Batch[]> =>
  fc
    .array(
      fc.record({
        step: fc.nat(shape.stepMax),
        events: fc.array(
          fc.record({
            id: fc.nat(shape.ids),
            key: fc.constantFrom(...shape.keys),
            jitter: fc.oneof(fc.integer({ min: -15, max: SKEW_MS + 1 }), fc.constant(0)),
            type: fc.constantFrom(...shape.types),
            broken: fc.integer({ min: 0, max: 15 }).map((drawn) => drawn === 0),
          }),
          { maxLength: 4 },
        ),
      }),
      { maxLength: shape.batchesMax },
    )
    .map((steps) => {
      let now = 0;
      return steps.map(({ step, events }) => {
        now += step;
        return {
          now,
          events: events.map(({ id, jitter, ...rest }) => ({
            ...rest,
            id: `${shape.idPrefix}${id}`,
            time: now + jitter,
          })),
        };
      });
    });

const ROWS = ["Price", "Price", "Price", "Gone"] as const;

/** Rows, deletions, what no schema knows, ids that are there twice, and ticks. */
export const priceLogs = logs({
  types: [...ROWS, "Unknown"],
  idPrefix: "p",
  ids: 40,
  keys: ["a", "b", "ü", ""],
  stepMax: 12,
  batchesMax: 25,
});
/** Much happens to few keys. */
export const densePriceLogs = logs({
  types: ROWS,
  idPrefix: "p",
  ids: 1_000,
  keys: ["a", "b"],
  stepMax: 4,
  batchesMax: 40,
});
export const orderLogs = logs({
  types: ["Order"],
  idPrefix: "o",
  ids: 1_000_000_000,
  keys: ["a", "b", "ü", ""],
  stepMax: 12,
  batchesMax: 25,
});
export const denseOrderLogs = logs({
  types: ["Order"],
  idPrefix: "o",
  ids: 1_000_000_000,
  keys: ["a", "b"],
  stepMax: 4,
  batchesMax: 40,
});

export const stored = (log: readonly Uint8Array[]): readonly Stored[] =>
  log.map((data, at) => ({ sequence: at + 1, data }));

export interface PassOptions {
  readonly end: number;
  readonly keysMax?: number;
  readonly recordsMax?: number;
}

export const topicRules = ({ end, keysMax = 1_000, ...limits }: PassOptions): CompactionRules => ({
  makeIntake: () => new Intake(prices, []),
  rowTypes: undefined,
  dedupeHorizonMs: HORIZON_MS,
  end,
  keysMax,
  ...limits,
});

export const joinRules = (
  plan: JoinPlan,
  { end, keysMax = 1_000, ...limits }: PassOptions,
): CompactionRules => ({
  makeIntake: () => new RekeyedIntake(plan, rekeyOf(plan)),
  rowTypes: rekeyOf(plan).routes.flatMap(({ topic }) => topic.types.map(() => isCompacted(topic))),
  dedupeHorizonMs: 0,
  end,
  keysMax,
  ...limits,
});

/** What a pass decides. */
export const passOver = (log: readonly Stored[], rules: CompactionRules): Compaction => {
  const compaction = new Compaction(rules);
  while (!compaction.done) {
    for (const { sequence, data } of log) if (!compaction.read(sequence, data)) break;
    compaction.endReading();
  }
  return compaction;
};

/** The log after a pass; `deletes`: as many are deleted before it is cut off. */
export const compacted = (
  log: readonly Stored[],
  rules: CompactionRules,
  deletes = Number.POSITIVE_INFINITY,
): readonly Stored[] => {
  const gone = new Set(passOver(log, rules).removable().slice(0, deletes));
  return log.filter(({ sequence }) => !gone.has(sequence));
};
