/**
 * What the makers of all kinds of projections share: options are checked as the data that they stand
 * for, mistakes are told in the words of the options, and a definition remembers its topic, unseen by JSON
 * and by comparisons.
 */
import { DefinitionError } from "../errors.ts";
import { checkProjection } from "./check-projection.ts";
import type { ProjectionDefinition, TopicDefinition } from "./definition.ts";
import { toExpression } from "./field-expression.ts";
import { at, Mistakes, type Fields } from "./reading.ts";

// Registered, so that a definition made by another copy of this package is understood too.
const TOPIC = Symbol.for("tidemark.topic");

/** The topic that was given as `source`; undefined for definitions that came as JSON. */
export const topicOf = (definition: ProjectionDefinition): TopicDefinition | undefined =>
  (definition as { readonly [TOPIC]?: TopicDefinition })[TOPIC];

export interface Maker {
  /** Beside those of every kind. */
  readonly options: readonly string[];
  /** The data that the options of this kind stand for. */
  data(given: Fields, mistakes: Mistakes): Fields;
  /** Keys of the data that the options call otherwise. */
  readonly spelling?: Readonly<Record<string, string>>;
}

const BASE_OPTIONS = ["source", "description", "types", "where", "key", "subjects"];

const expression = (value: unknown): unknown =>
  value === undefined ? undefined : toExpression(value);

const checkSource = (given: Fields, mistakes: Mistakes): TopicDefinition | undefined => {
  const source = given["source"] as TopicDefinition | undefined;
  if (typeof source?.name !== "string") {
    mistakes.add("source", 'must be a topic, for example topic("orders", { ... })');
  }
  const types: readonly unknown[] = Array.isArray(given["types"]) ? given["types"] : [];
  types.forEach((type, index) => {
    if (source?.types?.includes(type as string) !== false) return;
    mistakes.unknownName(
      at("types", index),
      `topic ${JSON.stringify(source.name)} has no event type ${JSON.stringify(type)}`,
      String(type),
      source.types,
      "types",
    );
  });
  return source;
};

/** Throws a {@link DefinitionError} that lists every mistake. */
export const makeDefinition = (
  name: string,
  options: unknown,
  { options: own, data, spelling = {} }: Maker,
): ProjectionDefinition => {
  const mistakes = new Mistakes();
  const subject = `projection ${JSON.stringify(name)}`;
  const given = mistakes.object(options, "", [...BASE_OPTIONS, ...own]);
  if (given === undefined) throw new DefinitionError(subject, mistakes.list);
  const source = checkSource(given, mistakes);
  const checked = checkProjection(
    {
      name,
      description: given["description"],
      topic: source?.name ?? "",
      types: given["types"],
      where: expression(given["where"]),
      key: expression(given["key"]),
      subjects: given["subjects"],
      ...data(given, mistakes),
    },
    mistakes,
    undefined,
  );
  if (checked === undefined || mistakes.list.length > 0) {
    const written = mistakes.list.map(({ path, message }) => ({
      path: spelling[path] ?? path,
      message,
    }));
    throw new DefinitionError(subject, written);
  }
  return Object.defineProperty(checked.definition, TOPIC, { value: source });
};
