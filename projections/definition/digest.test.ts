import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parseSchema } from "../schema/schema-set.ts";
import { checkProjection } from "./check-projection.ts";
import type { WindowProjection, TopicDefinition } from "./definition.ts";
import { canonicalJson, digestOf } from "./digest.ts";
import { zoneRules } from "../zone/zone-rules.ts";
import { planProjection, planTopic } from "./plan-projection.ts";
import { Mistakes } from "./reading.ts";

const PROTO = `
  syntax = "proto3";
  message Sale { int64 cents = 1; string store = 2; bool test = 3; }
  message Return { int64 cents = 1; }
`;

const topic: TopicDefinition = {
  name: "sales",
  partitions: 4,
  schemas: ["/shop.proto"],
  types: ["Sale", "Return"],
  maxOutOfOrdernessMs: 1000,
  maxFutureSkewMs: 2000,
  dedupeHorizonMs: 3000,
  idleAfterMs: 4000,
  retentionMs: 5000,
  maxBytes: -1,
};

const definition: WindowProjection = {
  name: "p",
  description: "",
  topic: "sales",
  types: ["Sale"],
  where: { op: "not", args: [{ field: "test" }] },
  key: { field: "store" },
  window: { kind: "tumbling", sizeMs: 60_000, offsetMs: 0 },
  allowedLatenessMs: 0,
  aggregates: { sales: { fn: "count" }, revenue: { fn: "sum", of: { field: "cents" } } },
  emit: { mode: "final" },
  subjects: { by: "key" },
};

const digest = (
  changes: Partial<WindowProjection> = {},
  topicChanges: Partial<TopicDefinition> = {},
  proto = PROTO,
): string => {
  const plan = planTopic({ ...topic, ...topicChanges }, parseSchema(proto));
  const { digest: bytes } = planProjection({ ...definition, ...changes }, plan);
  return Buffer.from(bytes).toString("hex");
};

it("is 8 bytes, the same on every machine and in every release", () => {
  expect(digest()).toBe("7e35cd5f9867ad6f");
});

it("G1: changes with all that results depend on", () => {
  const different = [
    digest({ types: [] }),
    digest({ where: undefined }),
    digest({ key: { event: "key" } }),
    digest({ window: { kind: "tumbling", sizeMs: 60_001, offsetMs: 0 } }),
    digest({ window: { kind: "tumbling", sizeMs: 60_000, offsetMs: 1 } }),
    digest({ allowedLatenessMs: 1 }),
    digest({ aggregates: { sales: { fn: "count" } } }),
    digest({ aggregates: { revenue: definition.aggregates["revenue"]!, sales: { fn: "count" } } }),
    digest({ emit: { mode: "each" } }),
    digest({}, { partitions: 5 }),
    digest({}, { maxOutOfOrdernessMs: 1 }),
    digest({}, { maxFutureSkewMs: 1 }),
    digest({}, { dedupeHorizonMs: 1 }),
    digest({}, {}, PROTO.replace("cents = 1", "cents = 9")),
    digest({}, {}, PROTO.replace("int64 cents", "sint64 cents")),
    digest({}, {}, PROTO.replace("int64 cents", "optional int64 cents")),
    digest(),
  ];
  expect(new Set(different).size).toBe(different.length);
});

it("G1: does not change with what results do not depend on", () => {
  const same = [
    digest({ name: "q", description: "of stores", subjects: { by: "bucket", buckets: 5 } }),
    digest({}, { retentionMs: 1, maxBytes: 99, idleAfterMs: 1, schemas: ["/elsewhere.proto"] }),
    digest({}, { types: ["Return", "Sale"] }),
    digest({}, { types: ["Sale"] }),
    digest({}, {}, PROTO.replace("bool test", "string note = 7; bool test")),
  ];
  expect(new Set(same)).toEqual(new Set([digest()]));
  const both = { types: [], aggregates: { cents: { fn: "sum", of: { field: "cents" } } } } as const;
  const change = { ...both, where: undefined, key: { event: "key" } } as const;
  expect(digest(change, { types: ["Return", "Sale"] })).toBe(digest(change));
});

it("G2: does not depend on the order of keys", () => {
  const shuffled = (value: unknown, order: (keys: string[]) => string[]): unknown => {
    if (Array.isArray(value)) return value.map((each) => shuffled(each, order));
    if (typeof value !== "object" || value === null) return value;
    const source = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(
      order(Object.keys(source)).map((key) => [key, shuffled(source[key], order)]),
    );
  };
  fc.assert(
    fc.property(fc.jsonValue(), fc.infiniteStream(fc.boolean()), (value, coins) => {
      const order = (keys: string[]) => keys.sort(() => (coins.next().value === true ? 1 : -1));
      expect(canonicalJson(shuffled(value, order))).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  // The order of aggregates is the order of values in results.
  const { aggregates } = definition;
  const reversed = (keys: string[]) => keys.reverse();
  const changes = shuffled({ ...definition, aggregates: undefined }, reversed);
  expect(digest({ ...(changes as WindowProjection), aggregates })).toBe(digest());
});

it("covers functions by their text and their version, and not what they close over", () => {
  const custom = (assign: (time: number) => [number, number][], version = "") =>
    digest({ window: { kind: "custom", assign, windowsMax: 1, version } });
  const first = custom((time) => [[time, time + 1]]);
  expect(custom((time) => [[time, time + 1]])).toBe(first);
  expect(custom((time) => [[time, time + 2]])).not.toBe(first);
  expect(custom((time) => [[time, time + 1]], "2")).not.toBe(first);
  const closing = (size: number) => custom((time) => [[time, time + size]]);
  expect(closing(1)).toBe(closing(2));
});

it("covers the rules of a time zone, not only its name", () => {
  const rules = zoneRules("Europe/Berlin");
  const plan = planTopic(topic, parseSchema(PROTO));
  const window = { kind: "calendar", unit: "day", zone: "Europe/Berlin" } as const;
  const checked = checkProjection({ ...definition, window }, new Mistakes(), {
    topics: [plan],
    projections: [],
  })!;
  const { covered } = checked.kind;
  expect(covered).toMatchObject({ zone: rules.digest });
  const of = (zone: string) =>
    digestOf({ ...checked, kind: { ...checked.kind, covered: { ...covered, zone } } });
  expect(of("other rules")).not.toEqual(of(rules.digest));
  expect(digest({ window })).not.toBe(digest({ window: { ...window, zone: "Europe/Paris" } }));
});
