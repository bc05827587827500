/**
 * Checks a projection that came as data and fills its defaults, noting every mistake with its path.
 * With a topic's plan it also resolves types and fields. What only one kind of projection has is
 * checked by that kind: see `kinds.ts`.
 */
import { checkName } from "./check-topic.ts";
import { article, checkExpression, printExpression, type Scope } from "./check-expression.ts";
import type { CheckedKind, KindChecker } from "./checked-kind.ts";
import type { ProjectionBase, ProjectionDefinition, SubjectsDefinition } from "./definition.ts";
import { suggestion } from "./did-you-mean.ts";
import { DEFAULT_KIND, KINDS } from "./kinds.ts";
import { checkKey, isEventKey } from "./check-key.ts";
import { refuseCompacted } from "./compacted-source.ts";
import type { NamedSource } from "./checked-kind.ts";
import type { FieldColumn, ProjectionKind, ProjectionPlan, TopicPlan } from "./plan.ts";
import { at, BUCKETS, shown, type Mistakes } from "./reading.ts";
import { isTableType, unionOf, type UnionSource, type UnionTopic } from "./union-topic.ts";

/** Meaningful only if no mistake was noted. */
export interface CheckedProjection {
  /** With all defaults; with a topic's plan its expressions are resolved. */
  readonly definition: ProjectionDefinition;
  readonly kind: CheckedKind;
  /** Grouped by something other than the event's key. */
  readonly merged: boolean;
  /** Whether its events come from several topics, or from one by several keys. */
  readonly apart: boolean;
  /** Of all that it reads; undefined without the topic's plan. */
  readonly topic: TopicPlan | undefined;
  /** The rest is empty without a topic's plan. By type index: whether it is read. */
  readonly reads: readonly boolean[];
  readonly columns: readonly FieldColumn[];
}

export const BASE_KEYS = [
  "name",
  "description",
  "topic",
  "types",
  "where",
  "key",
  "subjects",
] as const satisfies readonly (keyof ProjectionBase)[];

/** What sources are found in. */
export interface KnownSources {
  readonly topics: readonly TopicPlan[];
  /** Projections that may be a table. */
  readonly projections: readonly ProjectionPlan[];
  /** Of the projections that somebody may mean by a table, planned yet or not; without them, of those. */
  readonly names?: readonly string[] | undefined;
}

export const checkProjection = (
  value: unknown,
  mistakes: Mistakes,
  known: KnownSources | undefined,
): CheckedProjection | undefined => {
  const named = mistakes.record(value, "");
  if (named === undefined) return undefined;
  const kinds = Object.keys(KINDS) as ProjectionKind[];
  const kind = mistakes.oneOf(named["kind"] ?? DEFAULT_KIND, "kind", kinds);
  if (kind === undefined) return undefined;
  const checker: KindChecker = KINDS[kind];
  const written = mistakes.object(named, "", [...BASE_KEYS, "kind", ...checker.keys])!;
  const inputs = checker.inputs?.(written, mistakes) ?? { given: written, apart: undefined };
  const { given } = inputs;
  const apart = inputs.apart !== undefined;
  const union = inputs.apart && known && findSources(inputs.apart, known, mistakes);
  const topic = apart ? union : known?.topics[0];
  const name = checkName(given["name"], "name", mistakes);
  const description = mistakes.text(given["description"] ?? "", "description");
  const topicName = checkTopicName(given["topic"], mistakes, apart ? undefined : topic);
  if (topic !== undefined && !apart) refuseCompacted(topic, "topic", mistakes);
  const types = checkTypes(given["types"] ?? [], mistakes, topic);
  const isRead = (name: string, index: number): boolean =>
    types.length === 0 ||
    types.includes(name) ||
    (union !== undefined && isTableType(union, index));
  const reads = topic?.types.map((type, index) => isRead(type.name, index)) ?? [];
  const scope: Scope | undefined = topic && {
    types: topic.types.map((type, index) => (reads[index] ? type : undefined)),
    columns: new Map(),
  };
  // Those of several sources are checked with the types of each.
  const ownScope = apart ? undefined : scope;
  const where = checkWhere(given["where"] ?? undefined, mistakes, ownScope);
  const key = checkKey(given["key"] ?? { event: "key" }, "key", mistakes, ownScope);
  const merged = key !== undefined && !isEventKey(key);
  const checked = checker.check(given, { mistakes, scope, merged, apart, topic, union });
  const subjects = checkSubjects(given["subjects"] ?? { by: "key" }, mistakes);
  return {
    // The kind's own part fits the kind: `kinds.ts` says so of each.
    definition: {
      name: name!,
      description: description!,
      topic: topicName!,
      types,
      where,
      key: key!,
      ...checked.definition,
      subjects: subjects!,
    } as ProjectionDefinition,
    kind: checked,
    merged,
    apart,
    topic,
    reads,
    columns: [...(scope?.columns.values() ?? [])],
  };
};

const findSources = (
  sources: readonly NamedSource[],
  known: KnownSources,
  mistakes: Mistakes,
): UnionTopic | undefined => {
  const found = sources.flatMap((source) =>
    source.projection === undefined
      ? (findTopic(source, known, mistakes) ?? [])
      : (findTable(source, known, mistakes) ?? []),
  );
  return found.length === sources.length ? unionOf(found) : undefined;
};

const findTopic = (
  { path, topic }: NamedSource,
  { topics }: KnownSources,
  mistakes: Mistakes,
): UnionSource | undefined => {
  const names = topics.map(({ definition }) => definition.name);
  const plan = topics[names.indexOf(topic as string)];
  if (plan !== undefined) return { topic: plan };
  if (typeof topic !== "string") return undefined;
  const near = suggestion(topic, names, "topics");
  return mistakes.add(path, `there is no topic ${shown(topic)}${near}`);
};

const findTable = (
  { path, projection }: NamedSource,
  { projections, names }: KnownSources,
  mistakes: Mistakes,
): UnionSource | undefined => {
  if (typeof projection !== "string") return undefined;
  const table = projections.find(({ definition }) => definition.name === projection);
  if (table === undefined) {
    const known = names ?? projections.map(({ definition }) => definition.name);
    const near = suggestion(projection, known, "projections");
    return mistakes.add(path, `there is no projection ${shown(projection)}${near}`);
  }
  return { table };
};

const checkTopicName = (value: unknown, mistakes: Mistakes, topic: TopicPlan | undefined) => {
  if (value === undefined) {
    return mistakes.add(
      "topic",
      'is missing: the name of the topic that it reads, such as "orders"',
    );
  }
  const name = mistakes.text(value, "topic");
  const actual = topic?.definition.name;
  if (name !== undefined && actual !== undefined && name !== actual) {
    mistakes.add("topic", `reads topic ${shown(name)}, but was planned for ${shown(actual)}`);
  }
  return name;
};

const checkTypes = (
  value: unknown,
  mistakes: Mistakes,
  topic: TopicPlan | undefined,
): readonly string[] => {
  const items = mistakes.items(value, "types") ?? [];
  const known = topic?.types.map((type) => type.name);
  items.forEach((item, index) => {
    const path = at("types", index);
    const type = mistakes.text(item, path);
    if (type === undefined || known === undefined || known.includes(type)) return;
    mistakes.add(
      path,
      `topic ${shown(topic!.definition.name)} has no event type ${shown(type)}` +
        suggestion(type, known, "types"),
    );
  });
  return items.filter((item) => typeof item === "string");
};

const checkWhere = (value: unknown, mistakes: Mistakes, scope: Scope | undefined) => {
  if (value === undefined) return undefined;
  const where = checkExpression(value, "where", mistakes, scope);
  if (where?.type !== undefined && where.type !== "boolean") {
    mistakes.add(
      "where",
      `must be a boolean, but ${printExpression(where.expression)} is ${article(where.type)}`,
    );
  }
  return where?.expression;
};

const checkSubjects = (value: unknown, mistakes: Mistakes): SubjectsDefinition | undefined => {
  const given = mistakes.object(value, "subjects", ["by", "buckets"]);
  const by = given && mistakes.oneOf(given["by"], "subjects.by", ["key", "bucket"]);
  if (given === undefined || by === undefined) return undefined;
  if (by === "bucket") {
    const buckets = mistakes.whole(given["buckets"], "subjects.buckets", BUCKETS);
    return buckets === undefined ? undefined : { by, buckets };
  }
  if (given["buckets"] !== undefined) {
    mistakes.add("subjects.buckets", 'only subjects by "bucket" have them');
  }
  return { by };
};
