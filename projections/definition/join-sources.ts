/**
 * Where the two sides of a join come from: one log by one key, or two. A side that says nothing has the
 * topic and the key of the join; a join that says nothing has those of its left side.
 *
 * J1. Sides of one topic by one key lie in one log as they are. All others are brought together by
 *     their keys, in a log of their own: see `rekey.ts`.
 * J2. A side of results of a projection has the key of those results, and no topic: the projection has one.
 */
import { checkExpression, printExpression } from "./check-expression.ts";
import type { Inputs, NamedSource } from "./checked-kind.ts";
import { canonicalJson } from "./digest.ts";
import type { Expression, SideName } from "./expression.ts";
import { at, Mistakes, shown, type Fields } from "./reading.ts";

const SIDES: readonly SideName[] = ["left", "right"];
const EVENT_KEY: Expression = { event: "key" };

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

const partOf = (given: Fields, side: SideName, part: "topic" | "key" | "projection"): unknown => {
  const value = given[side];
  return isFields(value) ? (value[part] ?? undefined) : undefined;
};

/** As it is checked, its mistakes being told elsewhere. */
const keyOf = (value: unknown): Expression =>
  checkExpression(value, "key", new Mistakes(), undefined)?.expression ?? EVENT_KEY;

export const joinInputs = (given: Fields, mistakes: Mistakes): Inputs => {
  const tables = SIDES.map((side) => partOf(given, side, "projection"));
  const isTable = (index: number): boolean => tables[index] !== undefined;
  const topics = SIDES.map((side) => partOf(given, side, "topic"));
  const keys = SIDES.map((side) => partOf(given, side, "key"));
  /** Of all sides but tables, if each says so; the first of them. */
  const ofAll = (parts: readonly unknown[]): unknown => {
    const own = parts.filter((_, index) => !isTable(index));
    return own.every((part) => part !== undefined) ? own[0] : undefined;
  };
  const topic = given["topic"] ?? ofAll(topics);
  const key = given["key"] ?? ofAll(keys) ?? EVENT_KEY;
  const ofSides = SIDES.map((_, index) => ({
    topic: isTable(index) ? undefined : (topics[index] ?? topic),
    projection: tables[index],
    key: isTable(index) ? EVENT_KEY : keyOf(keys[index] ?? key),
  }));
  const ofTopics = ofSides.filter((_, index) => !isTable(index));
  if (
    typeof topic === "string" &&
    ofTopics.length > 0 &&
    ofTopics.every((side) => side.topic !== topic)
  ) {
    const read = [...new Set(ofTopics.map((side) => shown(side.topic)))].join(" and ");
    mistakes.add("topic", `is ${shown(topic)}, but the sides read ${read}: leave it out`);
  }
  const own = canonicalJson(keyOf(key));
  if (ofTopics.length > 0 && ofTopics.every((side) => canonicalJson(side.key) !== own)) {
    const by = [...new Set(ofTopics.map((side) => printExpression(side.key)))].join(" and ");
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
        : SIDES.map((side, index): NamedSource => ({
            path: isTable(index)
              ? at(side, "projection")
              : topics[index] === undefined
                ? "topic"
                : at(side, "topic"),
            topic: ofSides[index]!.topic,
            projection: tables[index],
          })),
  };
};

/** What is looked at to know where a projection's events come from. */
interface ReadsTopics {
  readonly kind?: string;
  readonly name: string;
  readonly topic: string;
}

/** The projection whose results a projection reads as a table. */
export const tableOf = (definition: { readonly kind?: string }): string | undefined => {
  if (definition.kind !== "join") return undefined;
  const projection = partOf(definition as unknown as Fields, "right", "projection");
  return typeof projection === "string" ? projection : undefined;
};

/**
 * The names of the topics that a projection reads; one twice if it is grouped by two keys. `all`: where a
 * projection that is its table is found; without that its topic is not among them.
 */
export const sourceNames = (
  definition: ReadsTopics,
  all: readonly ReadsTopics[],
): readonly string[] => namedTopics(definition, all).map(({ topic }) => topic);

/** The same with the paths within the definition at which they are named: of a table's topic, the table's. */
export const namedTopics = (
  definition: ReadsTopics,
  all: readonly ReadsTopics[],
): readonly { readonly path: string; readonly topic: string }[] => {
  return namedSources(definition).flatMap(({ path, topic, projection }) => {
    if (projection === undefined) return { path, topic: String(topic) };
    // Its table is planned first, unless it is a table of itself: then there is nothing to name.
    const others = all.filter(({ name }) => name !== definition.name);
    const table = others.find(({ name }) => name === projection);
    return table === undefined
      ? []
      : namedTopics(table, others).map((named) => ({ path, topic: named.topic }));
  });
};

/** The topics and tables that a projection names itself. */
export const namedSources = (definition: ReadsTopics): readonly NamedSource[] => {
  const { apart } =
    definition.kind === "join"
      ? joinInputs(definition as unknown as Fields, new Mistakes())
      : { apart: undefined };
  return apart ?? [{ path: "topic", topic: definition.topic, projection: undefined }];
};
