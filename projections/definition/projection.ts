/**
 * `projection()`: the typed way to write a {@link ProjectionDefinition}. What it returns is that data
 * and nothing more, except that it remembers its topic, unseen by JSON and by comparisons.
 */
import { DefinitionError } from "../errors.ts";
import { checkProjection } from "./check-projection.ts";
import type {
  AggregateDefinition,
  EmitDefinition,
  ProjectionDefinition,
  SubjectsDefinition,
  TopicDefinition,
  WindowDefinition,
  WindowProjection,
} from "./definition.ts";
import type { Duration } from "./duration.ts";
import {
  toExpression,
  type BooleanExpression,
  type NumberExpression,
  type StringExpression,
} from "./field-expression.ts";
import { at, Mistakes } from "./reading.ts";
import type { Topic } from "./topic.ts";

export interface ProjectionOptions<Type extends string, Name extends string> {
  /** The topic that it reads. */
  readonly source: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: all of the topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which events count: those for which it is true, not false and not null. Default: all. */
  readonly where?: BooleanExpression;
  /** What results are grouped by. Default: `event.key`. Events whose key is null do not count. */
  readonly key?: StringExpression | NumberExpression | BooleanExpression;
  readonly window: WindowDefinition;
  /** How long after its close a window still takes late events. Default "0". */
  readonly allowedLateness?: Duration;
  /** Values of each result, in this order. */
  readonly aggregates: Readonly<Record<Name, AggregateDefinition>>;
  /** Default `final()`. */
  readonly emit?: EmitDefinition;
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

/** A definition that knows the names of its aggregates. */
export interface Projection<Name extends string = string> extends WindowProjection {
  readonly aggregates: Readonly<Record<Name, AggregateDefinition>>;
}

const OPTIONS = [
  "source",
  "description",
  "types",
  "where",
  "key",
  "window",
  "allowedLateness",
  "aggregates",
  "emit",
  "subjects",
] as const satisfies readonly (keyof ProjectionOptions<string, string>)[];

// Registered, so that a definition made by another copy of this package is understood too.
const TOPIC = Symbol.for("tidemark.topic");

/** The topic that was given as `source`; undefined for definitions that came as JSON. */
export const topicOf = (definition: ProjectionDefinition): TopicDefinition | undefined =>
  (definition as { readonly [TOPIC]?: TopicDefinition })[TOPIC];

export const projection = <const Type extends string, const Name extends string>(
  name: string,
  options: ProjectionOptions<Type, Name>,
): Projection<Name> => {
  const mistakes = new Mistakes();
  const subject = `projection ${JSON.stringify(name)}`;
  const given = mistakes.object(options, "", OPTIONS);
  if (given === undefined) throw new DefinitionError(subject, mistakes.list);
  const source = given["source"] as TopicDefinition | undefined;
  if (typeof source?.name !== "string") {
    mistakes.add("source", 'must be a topic, for example topic("orders", { ... })');
  }
  for (const type of Array.isArray(given["types"]) ? given["types"] : []) {
    if (source?.types?.includes(type) === false) {
      const index = (given["types"] as readonly unknown[]).indexOf(type);
      mistakes.unknownName(
        at("types", index),
        `topic ${JSON.stringify(source.name)} has no event type ${JSON.stringify(type)}`,
        String(type),
        source.types,
        "types",
      );
    }
  }
  const expression = (value: unknown): unknown =>
    value === undefined ? undefined : toExpression(value);
  const checked = checkProjection(
    {
      name,
      description: given["description"],
      topic: source?.name ?? "",
      types: given["types"],
      where: expression(given["where"]),
      key: expression(given["key"]),
      window: given["window"],
      allowedLatenessMs: given["allowedLateness"],
      aggregates: given["aggregates"],
      emit: given["emit"],
      subjects: given["subjects"],
    },
    mistakes,
    undefined,
  );
  if (checked === undefined || mistakes.list.length > 0) {
    const written = mistakes.list.map(({ path, message }) => ({
      path: path === "allowedLatenessMs" ? "allowedLateness" : path,
      message,
    }));
    throw new DefinitionError(subject, written);
  }
  return Object.defineProperty(checked.definition as Projection<Name>, TOPIC, { value: source });
};
