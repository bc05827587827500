/** Cases of a projection that reads two topics: where their events, watermarks and ticks go. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { adClicks, adImpressions, impressionClicks } from "../../projections/ads/ads.ts";
import { field, join, left, right, topic } from "../../projections/index.ts";
import { CaseError } from "./case.ts";
import { runContent } from "./run-case.ts";
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
