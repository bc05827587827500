/**
 * What the makers of all kinds of projections share: options are checked as the data that they stand
 * for, mistakes are told in the words of the options, and a definition remembers its topics, unseen by JSON
 * and by comparisons.
 */
import { DefinitionError } from "../errors.ts";
import { checkProjection } from "./check-projection.ts";
import type { ProjectionDefinition, TopicDefinition } from "./definition.ts";
import { optionExpression } from "./field-expression.ts";
import { at, Mistakes, type Fields } from "./reading.ts";

// Registered, so that a definition made by another copy of this package is understood too.
const TOPICS = Symbol.for("tidemark.topics");

/** The topics that were given as `source`, each once; none for definitions that came as JSON. */
export const topicsOf = (definition: ProjectionDefinition): readonly TopicDefinition[] =>
  (definition as { readonly [TOPICS]?: readonly TopicDefinition[] })[TOPICS] ?? [];

export interface Maker {
  /** Beside those of every kind. */
  readonly options: readonly string[];
  /** The data that the options of this kind stand for. */
  data(given: Fields, mistakes: Mistakes): Fields;
  /** Sources that its parts have, by their paths, undefined where a part has none. */
  sources?(given: Fields): Readonly<Record<string, unknown>>;
  /** Keys of the data that the options call otherwise. */
  readonly spelling?: Readonly<Record<string, string>>;
}

const BASE_OPTIONS = ["source", "description", "types", "where", "key", "subjects"];

const expression = (value: unknown): unknown =>
  value === undefined ? undefined : optionExpression(value);

/** The topics that the options name; the first is that of the whole projection. */
const checkSources = (
  given: Fields,
  parts: Readonly<Record<string, unknown>>,
  mistakes: Mistakes,
): readonly TopicDefinition[] => {
  const ofParts = Object.entries(parts);
  // May be left out where each part has one.
  const isOwn = ofParts.length > 0 && ofParts.every(([, source]) => source !== undefined);
  const named: (readonly [string, unknown])[] = [
    ...(given["source"] === undefined && isOwn ? [] : [["source", given["source"]] as const]),
    ...ofParts.filter(([, source]) => source !== undefined),
  ];
  const sources = named.flatMap(([path, source]) => {
    if (typeof (source as TopicDefinition | undefined)?.name === "string") {
      return source as TopicDefinition;
    }
    return mistakes.add(path, 'must be a topic, for example topic("orders", { ... })') ?? [];
  });
  const types: readonly unknown[] = Array.isArray(given["types"]) ? given["types"] : [];
  types.forEach((type, index) => {
    const [source] = sources;
    if (sources.some((each) => each.types?.includes(type as string) !== false)) return;
    if (source === undefined) return;
    mistakes.unknownName(
      at("types", index),
      `topic ${JSON.stringify(source.name)} has no event type ${JSON.stringify(type)}`,
      String(type),
      source.types,
      "types",
    );
  });
  return [...new Map(sources.map((source) => [source.name, source])).values()];
};

/** Throws a {@link DefinitionError} that lists every mistake. */
export const makeDefinition = (
  name: string,
  options: unknown,
  { options: own, data, sources, spelling = {} }: Maker,
): ProjectionDefinition => {
  const mistakes = new Mistakes();
  const subject = `projection ${JSON.stringify(name)}`;
  const given = mistakes.object(options, "", [...BASE_OPTIONS, ...own]);
  if (given === undefined) throw new DefinitionError(subject, mistakes.list);
  const topics = checkSources(given, sources?.(given) ?? {}, mistakes);
  const checked = checkProjection(
    {
      name,
      description: given["description"],
      topic: topics[0]?.name ?? "",
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
  return Object.defineProperty(checked.definition, TOPICS, { value: topics });
};
