import { expect, test } from "vitest";
import { DefinitionError } from "../errors.ts";
import { parseSchema } from "../schema/schema-set.ts";
import { count } from "./aggregate.ts";
import type { JoinProjection, ProjectionDefinition } from "./definition.ts";
import { event, field, left, right } from "./field-expression.ts";
import { join, type JoinOptions } from "./join.ts";
import { pattern } from "./pattern.ts";
import { begin } from "./pattern-builder.ts";
import { planTopic } from "./plan-projection.ts";
import { projection } from "./projection.ts";
import { ProjectionPlanner } from "./projection-planner.ts";
import { rebuildWarning } from "./rebuild.ts";
import { rekeyOf, rowUpstreamsOf } from "./rekey.ts";
import { topic, type TopicOptions } from "./topic.ts";
import { tumbling } from "./windows.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package shop;
  message Order { string user = 1; int64 cents = 2; }
  message User { string country = 1; bool left = 2; }
  message Login {}
`);
const options = { schemas: ["/shop.proto"] };
const orders = topic("orders", { ...options, types: ["shop.Order"], partitions: 2 });
const users = topic("users", {
  ...options,
  types: ["shop.User", "shop.Login"],
  partitions: 3,
  compacted: true,
});
const TOPICS = [orders, users].map((each) => planTopic(each, schemas));

const told = (make: () => unknown): readonly string[] => {
  try {
    make();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

const planned = (definition: ProjectionDefinition) =>
  new ProjectionPlanner(TOPICS, [definition]).plan(definition);

const joined = (changes: Partial<JoinOptions<string, string>> = {}): JoinProjection =>
  join("orders-with-users", {
    left: { source: orders, key: field("user") },
    right: { source: users, types: ["shop.User"] },
    asOf: { deleted: field("left") },
    values: { order: left.event.id, country: right.field("country") },
    ...changes,
  } as JoinOptions<string, string>);

const mistakesOf = (changes: Partial<JoinOptions<string, string>>) =>
  told(() => planned(joined(changes)));

test("a topic is compacted if it says so", () => {
  expect(users.compacted).toBe(true);
  expect(orders).not.toHaveProperty("compacted");
  expect(topic("t", { ...options, types: ["a.B"], compacted: false })).not.toHaveProperty(
    "compacted",
  );
  const json = { name: "t", schemas: ["/shop.proto"], types: ["shop.User"], compacted: true };
  expect(planTopic(json as never, schemas).definition).toMatchObject({
    compacted: true,
    retentionMs: 7 * 86_400_000,
  });
});

test("what is neither true nor false is refused, with its place", () => {
  const wrong = { ...options, types: ["a.B"], compacted: "yes" } as unknown as TopicOptions<string>;
  expect(told(() => topic("t", wrong))).toEqual(['compacted: must be true or false, not "yes"']);
  expect(
    told(() =>
      topic("t", { ...options, types: ["a.B"], compact: true } as TopicOptions<string>),
    )[0],
  ).toContain('Did you mean "compacted"');
});

test("its rows are the table of a join as of event time, in record batches of their own", () => {
  const plan = planned(joined())!;
  const rekey = rekeyOf(plan);
  expect(plan.rekeyed).toBe(true);
  expect([...rowUpstreamsOf(rekey)]).toEqual([2, 3, 4]);
  // Neither the topic nor the join's log loses what is still a row.
  expect(rebuildWarning(plan)).toBeUndefined();
});

const ONLY_A_TABLE =
  'topic "users" is compacted: its log does not keep every event, so only a table can be made of it. Either ' +
  'read it as the right side of a join with "asOf", whose left side is another topic, or leave "compacted" out ' +
  "of the topic";

test("a window, a pattern or the left side of a join over it is refused", () => {
  const window = projection("w", {
    source: users,
    window: tumbling("1 hour"),
    aggregates: { events: count() },
  });
  expect(told(() => planned(window))).toEqual([`topic: ${ONLY_A_TABLE}`]);
  const matched = pattern("p", { source: users, key: event.key, pattern: begin("any") });
  expect(told(() => planned(matched))).toEqual([`topic: ${ONLY_A_TABLE}`]);
  const turned = {
    left: { source: users },
    right: { source: orders, key: field("user") },
    asOf: {},
    values: { user: left.event.id },
  };
  expect(mistakesOf(turned as never)).toEqual([`left.topic: ${ONLY_A_TABLE}`]);
});

test("so are a join within an interval, and one whose sides are both of it", () => {
  const interval = { asOf: undefined, within: { after: "1 hour" } };
  expect(mistakesOf(interval as never)).toEqual([`right.topic: ${ONLY_A_TABLE}`]);
  const own = { source: users, left: { types: ["shop.Login"] }, right: { types: ["shop.User"] } };
  const values = { user: left.event.id };
  expect(mistakesOf({ ...own, values } as never)).toEqual([`topic: ${ONLY_A_TABLE}`]);
});

test("a table of a compacted topic has neither where nor another key, and is told what to do instead", () => {
  const where = { right: { source: users, types: ["shop.User"], where: field("left").not() } };
  expect(mistakesOf(where as never)).toEqual([
    'right.where: an event of compacted topic "users" replaces the one before it in the log, also where it does ' +
      'not pass: say in "asOf.deleted" which events take the row away, or in "on" when there is none',
  ]);
  expect(mistakesOf({ where: event.key.ne("") } as never)[0]).toMatch(
    /^where: .* put it on the left side, and for the right one say in "asOf.deleted"/,
  );
  const key = { right: { source: users, types: ["shop.User"], key: field("country") } };
  expect(mistakesOf(key as never)).toEqual([
    'right.key: compacted topic "users" keeps the newest event of each event.key; a table by another key would lose ' +
      "rows. Leave it out, and publish the rows under the key by which they are looked up",
  ]);
});
