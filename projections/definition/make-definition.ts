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
const TABLES = Symbol.for("tidemark.tables");

/**
 * The topics that were given as `source`, each once, and those of projections that were; none for definitions
 * that came as JSON.
 */
export const topicsOf = (definition: ProjectionDefinition): readonly TopicDefinition[] =>
  (definition as { readonly [TOPICS]?: readonly TopicDefinition[] })[TOPICS] ?? [];

/** The projections that were given as `source`: tables. */
export const tablesOf = (definition: ProjectionDefinition): readonly ProjectionDefinition[] =>
  (definition as { readonly [TABLES]?: readonly ProjectionDefinition[] })[TABLES] ?? [];

export const nameOf = (source: unknown): unknown =>
  (source as { readonly name?: unknown } | undefined)?.name;

/** Topics have no subjects. */
export const isProjectionSource = (source: unknown): source is ProjectionDefinition =>
  typeof source === "object" && source !== null && "subjects" in source;

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

interface Sources {
  /** The first is that of the whole projection. */
  readonly topics: readonly TopicDefinition[];
  readonly tables: readonly ProjectionDefinition[];
}

/** What the options name as `source`. */
const checkSources = (
  given: Fields,
  parts: Readonly<Record<string, unknown>>,
  mistakes: Mistakes,
): Sources => {
  const ofParts = Object.entries(parts);
  // May be left out where each part has one.
  const isOwn = ofParts.length > 0 && ofParts.every(([, source]) => source !== undefined);
  const named: (readonly [string, unknown])[] = [
    ...(given["source"] === undefined && isOwn ? [] : [["source", given["source"]] as const]),
    ...ofParts.filter(([, source]) => source !== undefined),
  ];
  // Where else a projection is no source, the check of the data says.
  const tables = ofParts.flatMap(([, source]) => (isProjectionSource(source) ? source : []));
  const sources = named.flatMap(([path, source]) => {
    if ((tables as readonly unknown[]).includes(source) && path !== "source") return [];
    if (typeof nameOf(source) === "string" && !isProjectionSource(source)) {
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
  const all = [...sources, ...tables.flatMap(topicsOf)];
  return { topics: [...new Map(all.map((source) => [source.name, source])).values()], tables };
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
  const { topics, tables } = checkSources(given, sources?.(given) ?? {}, mistakes);
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
  return Object.defineProperties(checked.definition, {
    [TOPICS]: { value: topics },
    [TABLES]: { value: tables },
  });
};
