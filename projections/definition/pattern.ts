/** `pattern()`: the typed way to write a {@link PatternProjection}. */
import type { PatternProjection, SubjectsDefinition } from "./definition.ts";
import {
  toExpression,
  type AnyExpression,
  type BooleanExpression,
  type NumberExpression,
  type StringExpression,
} from "./field-expression.ts";
import { makeDefinition, type Maker } from "./make-definition.ts";
import { Pattern, type PatternValue } from "./pattern-builder.ts";
import type { SkipDefinition } from "./pattern-definition.ts";
import type { Fields, Mistakes } from "./reading.ts";
import type { Topic } from "./topic.ts";

export interface PatternOptions<Type extends string, Name extends string> {
  /** The topic that it reads. */
  readonly source: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: all of the topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which events it sees: those for which it is true, not false and not null. Default: all. */
  readonly where?: BooleanExpression;
  /** Whose events follow each other. Default: `event.key`. */
  readonly key?: StringExpression | NumberExpression | BooleanExpression;
  /** `begin(...)` and what follows. */
  readonly pattern: Pattern;
  /** What a match takes away from others. Default `noSkip()`. */
  readonly skip?: SkipDefinition;
  /** Values of each result, in this order. Default: `start`, `end` and `ids` of the match. */
  readonly values?: Readonly<Record<Name, AnyExpression | PatternValue>>;
  /** Whether partial matches that `within` has ended are results too. Default "discard". */
  readonly onTimeout?: "discard" | "emit";
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

/** A definition that knows the names of its values. */
export interface PatternOf<Name extends string = string> extends PatternProjection {
  readonly values: Readonly<Record<Name, PatternProjection["values"][string]>>;
}

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;

const MAKER: Maker = {
  options: ["pattern", "skip", "values", "onTimeout"],
  spelling: { withinMs: "pattern.within" },
  data: (given: Fields, mistakes: Mistakes) => {
    const written = given["pattern"];
    if (!(written instanceof Pattern)) {
      mistakes.add("pattern", 'must begin with begin("first", ...)');
    }
    const values = given["values"];
    return {
      kind: "pattern",
      pattern: written instanceof Pattern ? written.elements : [{ step: "first" }],
      withinMs: written instanceof Pattern ? written.withinMs : undefined,
      skip: given["skip"],
      values: isObject(values)
        ? Object.fromEntries(
            Object.entries(values).map(([name, value]) => [name, toExpression(value)]),
          )
        : values,
      onTimeout: given["onTimeout"],
    };
  },
};

export const pattern = <const Type extends string, const Name extends string>(
  name: string,
  options: PatternOptions<Type, Name>,
): PatternOf<Name> => makeDefinition(name, options, MAKER) as PatternOf<Name>;
