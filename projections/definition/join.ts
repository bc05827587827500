/** `join()`: the typed way to write a {@link JoinProjection}. */
import type {
  JoinMode,
  JoinProjection,
  ProjectionDefinition,
  SubjectsDefinition,
} from "./definition.ts";
import type { Duration } from "./duration.ts";
import {
  optionExpression,
  toExpression,
  type AnyExpression,
  type BooleanExpression,
} from "./field-expression.ts";
import { isProjectionSource, makeDefinition, nameOf, type Maker } from "./make-definition.ts";
import type { Fields, Mistakes } from "./reading.ts";
import type { Topic } from "./topic.ts";

export interface JoinSideOptions<Type extends string> {
  /** Event types of this side. Default: all of its topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which of their events. Default: all. */
  readonly where?: BooleanExpression;
  /** The topic of this side. Default: that of the join. */
  readonly source?: Topic<Type>;
  /** What its events are grouped by. Default: that of the join. */
  readonly key?: AnyExpression;
}

/** The results of a projection as a table: only on the right side, as of event time. */
export interface JoinTableOptions {
  /** The projection; grouped by `event.key`, as its rows are. */
  readonly source: ProjectionDefinition;
  readonly types?: never;
  readonly where?: never;
  readonly key?: never;
}

export interface JoinOptions<
  Type extends string,
  Name extends string,
  Left extends string = Type,
  Right extends string = Type,
> {
  /** The topic of the sides that have none of their own. */
  readonly source?: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: those of the sides. */
  readonly types?: readonly NoInfer<Type | Left | Right>[];
  /** Which events of both sides. Default: all. */
  readonly where?: BooleanExpression;
  readonly left: JoinSideOptions<Left>;
  readonly right: JoinSideOptions<Right> | JoinTableOptions;
  /** What events must share to be joined. Default: `event.key`. */
  readonly key?: AnyExpression;
  /** What pairs must be besides: `left.field("x").eq(right.field("x"))`. Default: anything. */
  readonly on?: BooleanExpression;
  /**
   * Joins events with left.time - before <= right.time <= left.time + after. Both default to 0, and
   * one may be negative.
   */
  readonly within?: { readonly before?: Duration; readonly after?: Duration };
  /** Or joins a left event with the right event that was its key's latest at the time of the left one. */
  readonly asOf?: {
    /** Right events that take the key's row away. */
    readonly deleted?: BooleanExpression;
    /** For how long a row is there. Default: until another replaces it. */
    readonly ttl?: Duration;
  };
  /** Default "inner". */
  readonly mode?: JoinMode;
  /** Values of each result, in this order: `left.field("x")`, `right.event.time`. */
  readonly values: Readonly<Record<Name, AnyExpression>>;
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

/** A definition that knows the names of its values. */
export interface Join<Name extends string = string> extends JoinProjection {
  readonly values: Readonly<Record<Name, JoinProjection["values"][string]>>;
}

const SIDE_OPTIONS = [
  "source",
  "types",
  "where",
  "key",
] as const satisfies readonly (keyof JoinSideOptions<string>)[];

/** Options in the names of the data form, with their expressions as data. */
const asData = (given: Fields, mistakes: Mistakes): Fields => {
  const expression = (value: unknown): unknown =>
    value === undefined ? undefined : optionExpression(value);
  const side = (name: "left" | "right"): unknown => {
    if (given[name] === undefined) return undefined;
    const options = mistakes.object(given[name], name, SIDE_OPTIONS);
    const source = options?.["source"];
    const isTable = isProjectionSource(source);
    return (
      options && {
        topic: isTable ? undefined : nameOf(source),
        projection: isTable ? nameOf(source) : undefined,
        types: options["types"],
        where: expression(options["where"]),
        key: expression(options["key"]),
      }
    );
  };
  const part = (name: string, known: readonly string[]): Fields | undefined =>
    given[name] === undefined ? undefined : mistakes.object(given[name], name, known);
  const within = part("within", ["before", "after"]);
  const asOf = part("asOf", ["deleted", "ttl"]);
  const values = given["values"];
  return {
    left: side("left"),
    right: side("right"),
    on: expression(given["on"]),
    within: within && { beforeMs: within["before"], afterMs: within["after"] },
    asOf: asOf && { deleted: expression(asOf["deleted"]), ttlMs: asOf["ttl"] },
    values:
      typeof values === "object" && values !== null
        ? Object.fromEntries(Object.entries(values).map(([name, of]) => [name, toExpression(of)]))
        : values,
  };
};

/** All types that some side reads; empty for all of the topic. */
const typesOf = (sides: readonly unknown[]): readonly unknown[] => {
  const lists = sides.map((side) => (side as { types?: unknown } | undefined)?.types);
  if (!lists.every((list) => Array.isArray(list) && list.length > 0)) return [];
  return [...new Set(lists.flat() as readonly unknown[])];
};

const MAKER: Maker = {
  options: ["left", "right", "on", "within", "asOf", "mode", "values"],
  sources: (given) =>
    Object.fromEntries(
      ["left", "right"].map((side) => {
        const options = given[side] as Fields | null | undefined;
        return [`${side}.source`, options?.["source"]];
      }),
    ),
  spelling: {
    topic: "source",
    "left.topic": "left.source",
    "right.topic": "right.source",
    "left.projection": "left.source",
    "right.projection": "right.source",
    "within.beforeMs": "within.before",
    "within.afterMs": "within.after",
    "asOf.ttlMs": "asOf.ttl",
  },
  data: (given, mistakes) => {
    const data = asData(given, mistakes);
    return {
      kind: "join",
      types: given["types"] ?? typesOf([data["left"], data["right"]]),
      ...data,
      mode: given["mode"],
    };
  },
};

export const join = <
  const Type extends string,
  const Name extends string,
  const Left extends string = Type,
  const Right extends string = Type,
>(
  name: string,
  options: JoinOptions<Type, Name, Left, Right>,
): Join<Name> => makeDefinition(name, options, MAKER) as Join<Name>;
