/** Cases of a projection that reads two topics: where their events, watermarks and ticks go. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { adClicks, adImpressions, impressionClicks } from "../../projections/ads/ads.ts";
import { field, join, left, right, topic } from "../../projections/index.ts";
import { CaseError } from "./case.ts";
import { renderFailures, runContent } from "./run-case.ts";
import { testProjection } from "./test-projection.ts";

const schemas = [fileURLToPath(new URL("../../projections/ads/ads.proto", import.meta.url))];
const find = () => ({ definition: impressionClicks, topics: [adClicks, adImpressions] });
const messages = (step: unknown): readonly string[] => {
  try {
    runContent({ projection: "x", steps: [step], expect: "nothing" }, { find });
    return [];
  } catch (error) {
    if (!(error instanceof CaseError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
};

test.each([
  [
    { key: "a", time: 0, type: "ads.Clik" },
    'steps[0].type: no topic has such a type; did you mean "ads.Click"?',
  ],
  [
    { key: "a", time: 0, type: "ads.Click", topic: "ad-impressions" },
    'steps[0].type: the topic has no such type; the types are "ads.Impression"',
  ],
  [
    { key: "a", time: 0, topic: "clicks" },
    'steps[0].topic: must be one of "ad-impressions", "ad-clicks", not "clicks"',
  ],
  [{ watermark: 0, partition: 1 }, 'steps[0].partition: of which topic? Say "topic", too'],
  [
    { tick: 1, topic: "ad-clicks", partition: 2 },
    "steps[0].partition: must be a whole number, 0 to 1, not 2",
  ],
])("%j", (step, ...expected) => {
  const told = messages(step);
  expect(told).toHaveLength(expected.length);
  told.forEach((message, index) => expect(message).toContain(expected[index]));
});

test("an event of a type that both topics have says its topic", () => {
  const [first, second] = ["first", "second"].map((name) =>
    topic(name, { schemas, types: ["ads.Click"], partitions: 2, maxOutOfOrderness: 0 }),
  );
  const both = join("both", {
    left: { source: first! },
    right: { source: second!, key: field("impression") },
    within: { after: 10 },
    values: { left: left.event.id, right: right.event.id },
  });
  const click = { key: "i", time: 0, type: "ads.Click" };
  expect(() => testProjection(both).event(click).expectNothing()).toThrow(
    'steps[0]: several topics have its type; give it a topic: "first" or "second"',
  );
  testProjection(both)
    .event({ ...click, topic: "first", id: "a" })
    .event({ ...click, topic: "second", id: "b", key: "u", time: 4, impression: "i" })
    .watermark(3)
    .expectNothing()
    .watermark(20)
    .expectUpdates({ key: "i", window: [0, 5], left: "a", right: "b" });
});

test("an event that is on both sides by two keys is in the books of both", () => {
  const clicks = topic("clicks", { schemas, types: ["ads.Click"], maxOutOfOrderness: 0 });
  const chain = join("chain", {
    source: clicks,
    left: {},
    right: { key: field("impression") },
    within: { after: 10 },
    values: { left: left.event.id, right: right.event.id },
  });
  testProjection(chain)
    .event({ key: "a", time: 0, id: "one" })
    .event({ key: "b", time: 5, id: "two", impression: "a" })
    .watermark(20)
    .expectUpdates({ key: "a", left: "one", right: "two" })
    .expectBooks({ events: 4, counted: 4 });
});

const INLINE = {
  projection: {
    kind: "join",
    left: { topic: "orders" },
    right: { topic: "payments", key: { field: "order" } },
    within: { afterMs: 10 },
    values: { order: { event: "id", side: "left" }, cents: { field: "cents", side: "right" } },
  },
  topics: {
    orders: { maxOutOfOrdernessMs: 0, types: { Placed: {} } },
    payments: { maxOutOfOrdernessMs: 0, types: { Paid: { order: "string", cents: "int64" } } },
  },
} as const;

const inlineMistakes = (change: object): readonly string[] => {
  try {
    runContent({ ...INLINE, steps: [], expect: "nothing", ...change });
    return [];
  } catch (error) {
    if (!(error instanceof CaseError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
};

test("topics stand in the case by their names, in whatever order, and dead letters say theirs", () => {
  const { orders, payments } = INLINE.topics;
  const steps = [
    { key: "o", time: 0, type: "Placed", id: "one" },
    { key: "p", time: 5, type: "Paid", order: "o", cents: 7 },
    { watermark: 50, topic: "orders" },
    { watermark: 50, topic: "payments" },
    { key: "q", time: 1, type: "Paid", order: "o", cents: 9 },
  ];
  const run = (topic: string) =>
    runContent({
      projection: INLINE.projection,
      topics: { payments, orders },
      steps,
      expect: {
        updates: [{ key: "o", window: [0, 6], order: "one", cents: 7 }],
        deadLetters: [{ reason: "late", key: "q", topic }],
      },
    });
  expect(renderFailures(run("payments"))).toBe("");
  expect(renderFailures(run("orders"))).toContain("topic=payments");
});

test.each<[string, object, string]>([
  [
    "a side's topic that nobody declared",
    { projection: { ...INLINE.projection, left: { topic: "order" } } },
    'projection.left.topic: there is no topic "order"; did you mean "orders"?',
  ],
  [
    "a topic that is of no use",
    { topics: { ...INLINE.topics, refunds: {} } },
    "topics.refunds: is a topic that the projection does not read",
  ],
  [
    "a projection that names none of several",
    { projection: { window: { kind: "tumbling", sizeMs: 1 }, aggregates: { n: { fn: "count" } } } },
    'projection.topic: is missing: which of the topics "orders" and "payments"',
  ],
  [
    "a mistake in one of them",
    { topics: { ...INLINE.topics, orders: { partitions: 0, types: { Placed: { cents: "[]" } } } } },
    'topics.orders.types.Placed.cents: must be a type of Protobuf, such as "int64"',
  ],
  [
    "a setting of one of them",
    { topics: { ...INLINE.topics, orders: { partition: 2, types: { Placed: {} } } } },
    'topics.orders.partition: unknown key. Did you mean "partitions"?',
  ],
  [
    "another name than its key",
    { topics: { ...INLINE.topics, orders: { name: "others" } } },
    'topics.orders.name: is "others", but its key here is its name',
  ],
  ["both forms", { topic: {} }, 'topics: stands beside "topic": move that one in here, too'],
  ["none at all", { topics: {} }, "topics: is empty; name at least one"],
  [
    "a dead letter of another topic",
    { expect: { deadLetters: [{ topic: "payment" }] } },
    'expect.deadLetters[0].topic: must be one of "orders", "payments", not "payment"; did you mean "payments"?',
  ],
])("says what is wrong with %s", (_, change, message) => {
  const [first] = inlineMistakes(change);
  expect(first).toContain(message);
});
