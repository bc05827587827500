/**
 * Checks a projection that came as data and fills its defaults, noting every mistake with its path.
 * With a topic's plan it also resolves types and fields.
 */
import { checkAggregate, type CheckedAggregate } from "./check-aggregate.ts";
import { checkName } from "./check-topic.ts";
import { article, checkExpression, printExpression, type Scope } from "./check-expression.ts";
import { checkWindow } from "./check-window.ts";
import type { EmitDefinition, ProjectionDefinition, SubjectsDefinition } from "./definition.ts";
import type { ExpressionType } from "./expression.ts";
import { suggestion } from "./did-you-mean.ts";
import type { FieldColumn, TopicPlan } from "./plan.ts";
import { at, BUCKETS, NOT_NEGATIVE, POSITIVE, shown, type Mistakes } from "./reading.ts";

/** Meaningful only if no mistake was noted. */
export interface CheckedProjection {
  /** With all defaults; with a topic's plan its expressions are resolved. */
  readonly definition: ProjectionDefinition;
  /** The rest is empty without a topic's plan. By type index: whether it is read. */
  readonly reads: readonly boolean[];
  readonly columns: readonly FieldColumn[];
  /** By name of the aggregate; undefined for count. */
  readonly inputTypes: Readonly<Record<string, ExpressionType | undefined>>;
}

const KEYS = [
  "name",
  "description",
  "topic",
  "types",
  "where",
  "key",
  "window",
  "allowedLatenessMs",
  "aggregates",
  "emit",
  "subjects",
] as const satisfies readonly (keyof ProjectionDefinition)[];

const AGGREGATE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const AGGREGATE_NAME_RULE = "a letter or _, then letters, digits or _, 63 at most";

export const checkProjection = (
  value: unknown,
  mistakes: Mistakes,
  topic: TopicPlan | undefined,
): CheckedProjection | undefined => {
  const given = mistakes.object(value, "", KEYS);
  if (given === undefined) return undefined;
  const name = checkName(given["name"], "name", mistakes);
  const description = mistakes.text(given["description"] ?? "", "description");
  const topicName = checkTopicName(given["topic"], mistakes, topic);
  const types = checkTypes(given["types"] ?? [], mistakes, topic);
  const reads = topic?.types.map((type) => types.length === 0 || types.includes(type.name)) ?? [];
  const scope: Scope | undefined = topic && {
    types: topic.types.map((type, index) => (reads[index] ? type : undefined)),
    columns: new Map(),
  };
  const where = checkWhere(given["where"] ?? undefined, mistakes, scope);
  const key = checkKey(given["key"] ?? { event: "key" }, mistakes, scope);
  const merged = key !== undefined && !("event" in key && key.event === "key");
  const window = checkWindow(given["window"], mistakes, merged);
  const lateness = given["allowedLatenessMs"] ?? 0;
  const allowedLatenessMs = mistakes.duration(lateness, "allowedLatenessMs", NOT_NEGATIVE);
  const aggregates = checkAggregates(given["aggregates"], mistakes, scope);
  const emit = checkEmit(given["emit"] ?? { mode: "final" }, mistakes);
  if (window?.kind === "global" && emit?.mode === "final") {
    mistakes.add("emit", "a global window never closes; emit early({ every: ... }) or each()");
  }
  const subjects = checkSubjects(given["subjects"] ?? { by: "key" }, mistakes);
  return {
    definition: {
      name: name!,
      description: description!,
      topic: topicName!,
      types,
      where,
      key: key!,
      window: window!,
      allowedLatenessMs: allowedLatenessMs!,
      aggregates: Object.fromEntries(aggregates.map((each) => [each.name, each.definition])),
      emit: emit!,
      subjects: subjects!,
    },
    reads,
    columns: [...(scope?.columns.values() ?? [])],
    inputTypes: Object.fromEntries(aggregates.map((each) => [each.name, each.inputType])),
  };
};

const checkTopicName = (value: unknown, mistakes: Mistakes, topic: TopicPlan | undefined) => {
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

const checkKey = (value: unknown, mistakes: Mistakes, scope: Scope | undefined) => {
  const key = checkExpression(value, "key", mistakes, scope);
  if (key?.type === "double") {
    mistakes.add(
      "key",
      `cannot be a double, as ${printExpression(key.expression)} is: equal groups need equal ` +
        "keys. Group by a string, an integer or a boolean",
    );
  }
  return key?.expression;
};

const checkAggregates = (
  value: unknown,
  mistakes: Mistakes,
  scope: Scope | undefined,
): readonly CheckedAggregate[] => {
  const given = value === undefined ? {} : mistakes.record(value, "aggregates");
  if (given === undefined) return [];
  const names = Object.keys(given);
  if (names.length === 0) {
    mistakes.add("aggregates", "is empty; name at least one, for example { events: count() }");
  }
  return names.flatMap((name) => {
    const path = at("aggregates", name);
    if (!AGGREGATE_NAME.test(name)) {
      mistakes.add(path, `the name must be ${AGGREGATE_NAME_RULE}, not ${shown(name)}`);
    }
    return checkAggregate(name, given[name], path, mistakes, scope) ?? [];
  });
};

const checkEmit = (value: unknown, mistakes: Mistakes): EmitDefinition | undefined => {
  const given = mistakes.object(value, "emit", ["mode", "everyMs"]);
  const mode = given && mistakes.oneOf(given["mode"], "emit.mode", ["final", "early", "each"]);
  if (given === undefined || mode === undefined) return undefined;
  if (mode === "early") {
    const everyMs = mistakes.duration(given["everyMs"], "emit.everyMs", POSITIVE);
    return everyMs === undefined ? undefined : { mode, everyMs };
  }
  if (given["everyMs"] !== undefined) {
    mistakes.add("emit.everyMs", `only mode "early" has it, not ${shown(mode)}`);
  }
  return { mode };
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
