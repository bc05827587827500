/** `join()` where its sides come from two topics: what types, checks and the configuration know of them. */
import { expect, test } from "vitest";
import { event, field, join, left, right, topic } from "../index.ts";
import { sourceNames } from "./join-sources.ts";
import { topicsOf } from "./make-definition.ts";

const shown = topic("shown", { schemas: ["./ads.proto"], types: ["ads.Shown"] });
const clicked = topic("clicked", {
  schemas: ["./ads.proto"],
  types: ["ads.Clicked", "ads.Closed"],
});
const rest = { within: { after: "1 minute" }, values: { id: left.event.id } } as const;
const onClicked = { source: clicked, key: field("of"), types: ["ads.Clicked"] } as const;

const mistakesOf = (make: () => unknown): readonly string[] => {
  try {
    make();
    return [];
  } catch (error) {
    const { mistakes } = error as { mistakes: readonly { path: string; message: string }[] };
    return mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
};

test("each side may have a source and a key of its own", () => {
  const definition = join("clicks", { left: { source: shown }, right: onClicked, ...rest });
  expect(definition).toMatchObject({
    topic: "shown",
    types: [],
    key: { event: "key" },
    left: { topic: "shown", types: [], key: { event: "key" } },
    right: { topic: "clicked", types: ["ads.Clicked"], key: { field: "of" } },
  });
  expect(topicsOf(definition)).toEqual([shown, clicked]);
  expect(sourceNames(definition, [])).toEqual(["shown", "clicked"]);
});

test("a side without a source has that of the join", () => {
  const definition = join("clicks", { source: shown, left: {}, right: onClicked, ...rest });
  expect(definition.left.topic).toBe("shown");
  expect(topicsOf(definition)).toEqual([shown, clicked]);
});

test("one topic by two keys is two sources; by one key it is one", () => {
  const both = (key: typeof event.key) =>
    sourceNames(join("own", { source: shown, left: {}, right: { key }, ...rest }), []);
  expect(both(field("x"))).toEqual(["shown", "shown"]);
  expect(both(event.key)).toEqual(["shown"]);
});

test("types are those of the side's own topic", () => {
  join("clicks", {
    left: { source: shown },
    // @ts-expect-error: "ads.Shown" is a type of the other topic.
    right: { source: clicked, types: ["ads.Shown"] },
    ...rest,
  });
  join("clicks", {
    source: shown,
    // @ts-expect-error: without a source of its own it is that of the join.
    left: { types: ["ads.Closed"] },
    right: onClicked,
    within: { after: 1 },
    values: { id: right.event.id },
  });
});

test("a source that is missing or none is a mistake with its place", () => {
  const needed = 'must be a topic, for example topic("orders", { ... })';
  const none = () => join("clicks", { left: {}, right: onClicked, ...rest });
  expect(mistakesOf(none)).toContain(`source: ${needed}`);
  const text = { source: "clicked" as never };
  const wrong = () => join("clicks", { left: { source: shown }, right: text, ...rest });
  expect(mistakesOf(wrong)).toEqual([`right.source: ${needed}`]);
});
