/**
 * Where the two sides of a join come from: one log by one key, or two. A side that says nothing has the
 * topic and the key of the join; a join that says nothing has those of its left side.
 *
 * J1. Sides of one topic by one key lie in one log as they are. All others are brought together by
 *     their keys, in a log of their own: see `rekey.ts`.
 */
import { checkExpression, printExpression } from "./check-expression.ts";
import type { Inputs } from "./checked-kind.ts";
import { canonicalJson } from "./digest.ts";
import type { Expression, SideName } from "./expression.ts";
import { at, Mistakes, shown, type Fields } from "./reading.ts";

const SIDES: readonly SideName[] = ["left", "right"];
const EVENT_KEY: Expression = { event: "key" };

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

const partOf = (given: Fields, side: SideName, part: "topic" | "key"): unknown => {
  const value = given[side];
  return isFields(value) ? (value[part] ?? undefined) : undefined;
};

/** As it is checked, its mistakes being told elsewhere. */
const keyOf = (value: unknown): Expression =>
  checkExpression(value, "key", new Mistakes(), undefined)?.expression ?? EVENT_KEY;

export const joinInputs = (given: Fields, mistakes: Mistakes): Inputs => {
  const topics = SIDES.map((side) => partOf(given, side, "topic"));
  const keys = SIDES.map((side) => partOf(given, side, "key"));
  const both = (parts: readonly unknown[]): unknown =>
    parts.every((part) => part !== undefined) ? parts[0] : undefined;
  const topic = given["topic"] ?? both(topics);
  const key = given["key"] ?? both(keys) ?? EVENT_KEY;
  const ofSides = SIDES.map((_, index) => ({
    topic: topics[index] ?? topic,
    key: keyOf(keys[index] ?? key),
  }));
  if (typeof topic === "string" && ofSides.every((side) => side.topic !== topic)) {
    const read = [...new Set(ofSides.map((side) => shown(side.topic)))].join(" and ");
    mistakes.add("topic", `is ${shown(topic)}, but the sides read ${read}: leave it out`);
  }
  const own = canonicalJson(keyOf(key));
  if (ofSides.every((side) => canonicalJson(side.key) !== own)) {
    const by = [...new Set(ofSides.map((side) => printExpression(side.key)))].join(" and ");
    mistakes.add(
      "key",
      `is ${printExpression(keyOf(key))}, but the sides are grouped by ${by}: leave it out`,
    );
  }
  const [left, right] = ofSides.map((side) => canonicalJson(side));
  return {
    given: { ...given, topic, key },
    apart:
      left === right
        ? undefined
        : SIDES.map((side, index) => ({
            path: topics[index] === undefined ? "topic" : at(side, "topic"),
            topic: ofSides[index]!.topic,
          })),
  };
};

/** The names of the topics that a projection reads; one twice if it is grouped by two keys. */
export const sourceNames = (definition: {
  readonly kind?: string;
  readonly topic: string;
}): readonly string[] => {
  if (definition.kind !== "join") return [definition.topic];
  const { apart } = joinInputs(definition as unknown as Fields, new Mistakes());
  return apart?.map(({ topic }) => String(topic)) ?? [definition.topic];
};
