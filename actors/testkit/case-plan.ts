/**
 * The plan that a case runs: of a projection by name, of a definition with its own topics, or of a
 * definition whose topics stand in the case.
 *
 * P1. Each topic, of a table too, has one more event type, the pulse, which no projection reads: an event
 *     that moves the watermark and counts nowhere.
 */
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";
import { suggestion } from "../../projections/definition/did-you-mean.ts";
import { planTopic } from "../../projections/definition/plan-projection.ts";
import { readingsOf } from "../../projections/definition/rekey.ts";
import { ProjectionPlanner } from "../../projections/definition/projection-planner.ts";
import type {
  EventTypeSchema,
  FieldColumn,
  JoinSidePlan,
  ProjectionPlan,
  SourcePlan,
  TopicPlan,
} from "../../projections/definition/plan.ts";
import { joinInputs, tableOf } from "../../projections/definition/join-sources.ts";
import { tablesOf, topicsOf } from "../../projections/definition/make-definition.ts";
import { at, Mistakes, shown } from "../../projections/definition/reading.ts";
import type { Fields } from "../../projections/definition/reading.ts";
import { DefinitionError, SchemaError } from "../../projections/errors.ts";
import { loadSchemas } from "../../projections/schema/schema-set.ts";
import type { SchemaSet } from "../../projections/schema/schema-set.ts";

export const PULSE: EventTypeSchema = { name: "tidemark.testkit.Pulse", fields: [] };

export interface NamedProjection {
  readonly definition: ProjectionDefinition;
  /** All that it reads, with that of its table. */
  readonly topics: readonly unknown[];
  /** Among which its table is, if it has one. */
  readonly tables?: readonly ProjectionDefinition[];
}

/** Projections that a case may name. */
export interface FindProjection {
  (name: string): NamedProjection | undefined;
  /** Of all that it finds, for who mistypes one. */
  readonly names?: readonly string[];
}

/** One of the topics that a case's events are in. */
export interface CaseTopic {
  readonly definition: TopicDefinition;
  /** Without the pulse. */
  readonly types: readonly string[];
  readonly schemas: SchemaSet;
  /** The first of its types that the projection reads. */
  readonly firstRead: string | undefined;
  /** Number of its partition 0 among the lanes: the partitions of all topics, numbered through. */
  readonly firstLane: number;
}

export interface CasePlan {
  readonly plan: ProjectionPlan;
  readonly topics: readonly CaseTopic[];
}

export const topicOfLane = (topics: readonly CaseTopic[], lane: number): CaseTopic =>
  topics.findLast(({ firstLane }) => firstLane <= lane)!;

/** What a topic has when the case says nothing else. */
const TOPIC = { name: "events", partitions: 1 } as const;
const TYPES = { Event: {} } as const;

export const planCase = (
  given: Fields,
  mistakes: Mistakes,
  find: FindProjection,
): CasePlan | undefined => {
  const { projection } = given;
  if (projection === undefined) {
    return mistakes.add(
      "projection",
      "is missing: the name of a projection, or a definition such as " +
        "{ window: { kind: tumbling, sizeMs: 1 minute }, aggregates: { n: { fn: count } } }",
    );
  }
  const inline = (["topic", "topics", "tables"] as const).filter(
    (part) => given[part] !== undefined,
  );
  if (typeof projection === "string") {
    const found = find(projection);
    if (found === undefined) {
      const near = find.names && suggestion(projection, find.names, "projections");
      const none = `there is no projection ${shown(projection)} here`;
      return mistakes.add("projection", none + (near ?? ""));
    }
    for (const part of inline) {
      mistakes.add(part, `${shown(projection)} has its own; leave it out`);
    }
    const topics = loaded(found.topics as readonly Fields[]);
    return plan(found.definition, topics, found.tables ?? [], mistakes);
  }
  const definition = mistakes.record(projection, "projection");
  if (definition === undefined) return undefined;
  const own = topicsOf(definition as unknown as ProjectionDefinition);
  if (own.length > 0 && inline.length === 0) {
    const tables = tablesOf(definition as unknown as ProjectionDefinition);
    return plan(definition, loaded(own as unknown as readonly Fields[]), tables, mistakes);
  }
  if (given["topic"] !== undefined && given["topics"] !== undefined) {
    return mistakes.add("topics", 'stands beside "topic": move that one in here, too');
  }
  const tables = (mistakes.items(given["tables"] ?? [], "tables") ?? []).flatMap(
    (table, index): readonly Fields[] => {
      const fields = mistakes.record(table, at("tables", index));
      return fields === undefined ? [] : [fields];
    },
  );
  return given["topics"] === undefined
    ? planInline(definition, given["topic"] ?? {}, tables, mistakes)
    : planSeveral(definition, given["topics"], tables, mistakes);
};

type Load = (paths: readonly string[]) => SchemaSet;

/** A topic as it was given. */
interface GivenTopic {
  readonly fields: Fields;
  /** Where it stands in the case. */
  readonly path: string;
  readonly load: Load;
}

/** Of projections that bring their topics along. */
const loaded = (topics: readonly Fields[]): readonly GivenTopic[] =>
  topics.map((fields) => ({ fields, path: "topic", load: loadSchemas }));

/** The only topic, which the definition need not name, nor a table of it. */
const planInline = (
  definition: Fields,
  value: unknown,
  tables: readonly Fields[],
  mistakes: Mistakes,
): CasePlan | undefined => {
  const given = mistakes.record(value, "topic");
  if (given === undefined) return undefined;
  const name = given["name"] ?? definition["topic"] ?? TOPIC.name;
  const topic = inlineTopic({ ...given, name }, "topic", mistakes);
  const whole = { name: "case", topic: name, ...definition };
  return topic && plan(whole, [topic], readingFrom(name, tables), mistakes);
};

/** Tables that need not name their topic. */
const readingFrom = (topic: unknown, tables: readonly Fields[]): readonly ProjectionDefinition[] =>
  tables.map((table) => ({ topic, ...table }) as unknown as ProjectionDefinition);

/** Topics by their names, of which the definition names those that it reads. */
const planSeveral = (
  definition: Fields,
  value: unknown,
  givenTables: readonly Fields[],
  mistakes: Mistakes,
): CasePlan | undefined => {
  const given = mistakes.record(value, "topics");
  if (given === undefined) return undefined;
  const names = Object.keys(given);
  if (names.length === 0) return mistakes.add("topics", "is empty; name at least one");
  const only = names.length === 1 ? { topic: names[0] } : {};
  const tables = givenTables.map((table) => ({ ...only, ...table }));
  const read = namedTopics({ ...only, ...definition }, tables);
  const before = mistakes.list.length;
  for (const { path: place, topic } of read) {
    if (topic === undefined) {
      mistakes.add(place, `is missing: which of the topics ${names.map(shown).join(" and ")}`);
    } else if (typeof topic === "string") {
      if (names.includes(topic)) continue;
      mistakes.unknownName(place, `there is no topic ${shown(topic)}`, topic, names, "topics");
    } else mistakes.text(topic, place);
  }
  const topics = names.flatMap((name) => {
    const path = at("topics", name);
    const fields = mistakes.record(given[name] ?? {}, path);
    if (fields === undefined) return [];
    if (fields["name"] !== undefined && fields["name"] !== name) {
      mistakes.add(at(path, "name"), `is ${shown(fields["name"])}, but its key here is its name`);
    }
    if (mistakes.list.length === before && !read.some(({ topic }) => topic === name)) {
      mistakes.add(path, "is a topic that the projection does not read");
    }
    return inlineTopic({ ...fields, name }, path, mistakes) ?? [];
  });
  if (mistakes.list.length > before) return undefined;
  // The first is that of the whole projection.
  const inOrder = [...new Set(read.map(({ topic }) => topic))].flatMap(
    (name) => topics.find(({ fields }) => fields["name"] === name) ?? [],
  );
  const whole = { name: "case", topic: read[0]!.topic, ...definition };
  return plan(whole, inOrder, tables as unknown as readonly ProjectionDefinition[], mistakes);
};

interface NamedTopic {
  readonly path: string;
  readonly topic: unknown;
}

/** The topics that a definition and its table read, with the paths at which they name them. */
const namedTopics = (definition: Fields, tables: readonly Fields[]): readonly NamedTopic[] => {
  const ofSides =
    definition["kind"] === "join" ? joinInputs(definition, new Mistakes()) : undefined;
  const whole = { path: "projection.topic", topic: ofSides?.given["topic"] ?? definition["topic"] };
  return (
    ofSides?.apart?.flatMap(({ path, topic, projection }): readonly NamedTopic[] => {
      if (projection === undefined) return [{ path: `projection.${path}`, topic }];
      const index = tables.findIndex(({ name }) => name === projection);
      if (index < 0) return [];
      const others = tables.filter((_, other) => other !== index);
      return namedTopics(tables[index]!, others).map(({ path: inner, topic: named }) => ({
        path: inner.replace(/^projection/, at("tables", index)),
        topic: named,
      }));
    }) ?? [whole]
  );
};

const inlineTopic = (
  { proto, ...topic }: Fields,
  path: string,
  mistakes: Mistakes,
): GivenTopic | undefined => {
  const files = new Map<string, string>();
  let types = topic["types"] ?? (proto === undefined ? TYPES : undefined);
  if (proto !== undefined) {
    const text = mistakes.text(proto, at(path, "proto"));
    if (text === undefined) return undefined;
    files.set("/case.proto", text);
  }
  if (!Array.isArray(types) && types !== undefined) {
    const where = at(path, "types");
    const declared = mistakes.record(types, where);
    if (declared === undefined) return undefined;
    const before = mistakes.list.length;
    for (const [file, text] of protosOf(declared, where, mistakes)) files.set(file, text);
    if (mistakes.list.length > before) return undefined;
    types = Object.keys(declared);
  }
  const schemas = files.size === 0 ? topic["schemas"] : [...files.keys()];
  return {
    fields: { ...TOPIC, ...topic, types, schemas },
    path,
    load: files.size === 0 ? loadSchemas : (paths) => loadSchemas(paths, (file) => files.get(file)),
  };
};

/** One .proto file a package, from the compact form. */
const protosOf = (
  types: Fields,
  within: string,
  mistakes: Mistakes,
): ReadonlyMap<string, string> => {
  const files = new Map<string, string>();
  for (const [type, value] of Object.entries(types)) {
    const path = at(within, type);
    const fields = mistakes.record(value ?? {}, path);
    if (fields === undefined) continue;
    const dot = type.lastIndexOf(".");
    const pack = type.slice(0, Math.max(0, dot));
    const file = `/case${pack === "" ? "" : `-${pack}`}.proto`;
    const lines = Object.entries(fields).map(([field, form], index) => {
      const text = mistakes.text(form, at(path, field)) ?? "";
      if (!/^((optional|repeated) +)?[\w.]+$/.test(text.trim())) {
        mistakes.add(
          at(path, field),
          'must be a type of Protobuf, such as "int64", "optional double" or "string", ' +
            `not ${shown(text)}`,
        );
      }
      return `  ${text.trim()} ${field} = ${index + 1};`;
    });
    const head = `syntax = "proto3";\n${pack === "" ? "" : `package ${pack};\n`}`;
    const message = [`message ${type.slice(dot + 1)} {`, ...lines, "}", ""].join("\n");
    files.set(file, (files.get(file) ?? head) + message);
  }
  return files;
};

const plan = (
  definition: unknown,
  topics: readonly GivenTopic[],
  tables: readonly ProjectionDefinition[],
  mistakes: Mistakes,
): CasePlan | undefined => {
  let part = "topic";
  try {
    const planned = topics.map(({ fields, path, load }) => {
      part = path;
      const schemas = load((fields["schemas"] ?? []) as readonly string[]);
      return { schemas, topic: planTopic(fields as never, schemas) };
    });
    part = "projection";
    const planner = new ProjectionPlanner(
      planned.map(({ topic }) => topic),
      [...tables, definition as ProjectionDefinition],
    );
    const made = planner.plan(definition as ProjectionDefinition);
    if (made === undefined) {
      let reader = definition as { readonly kind?: string };
      for (;;) {
        const index = tables.findIndex(({ name }) => name === tableOf(reader));
        if (index < 0) throw new Error("invariant P1: a table is not planned and has no mistakes");
        part = at("tables", index);
        reader = tables[index]!;
        planner.plan(tables[index]!);
      }
    }
    const sources = readingsOf(made);
    let lanes = 0;
    // In the order of the routes, whichever of them the definition names first.
    const read = [...new Set(sources.map(({ topic }) => topic))];
    const inOrder = read.flatMap((topic) => planned.find((each) => each.topic === topic) ?? []);
    const caseTopics = inOrder.map(({ topic, schemas }): CaseTopic => {
      const firstLane = lanes;
      lanes += topic.definition.partitions;
      const types = topic.types.map((type) => type.name);
      const own = sources.filter((source) => source.topic === topic);
      const firstRead = types.find((_, index) => own.some(({ reads }) => reads[index]));
      return { definition: topic.definition, types, schemas, firstRead, firstLane };
    });
    return { plan: withPulse(made), topics: caseTopics };
  } catch (error) {
    if (error instanceof DefinitionError) {
      for (const { path, message } of error.mistakes) {
        mistakes.add(
          path === "" ? part : path.startsWith("[") ? part + path : `${part}.${path}`,
          message,
        );
      }
      return undefined;
    }
    if (error instanceof SchemaError) return mistakes.add(part, error.message);
    throw error;
  }
};

/** A pulse after the types of each source. */
const withPulse = (given: ProjectionPlan): ProjectionPlan => {
  const sizes = (given.sources ?? [given]).map(({ topic }) => topic.types.length);
  const spread = <T>(byType: readonly T[], pulse: T, parts = sizes): readonly T[] => {
    let end = 0;
    return parts.flatMap((size) => [...byType.slice(end, (end += size)), pulse]);
  };
  const columnsOf = (columns: readonly FieldColumn[], parts = sizes) =>
    columns.map((column) => ({ ...column, fields: spread(column.fields, undefined, parts) }));
  const ofTopic = (topic: TopicPlan, parts = sizes): TopicPlan => ({
    definition: topic.definition,
    types: spread(topic.types, PULSE, parts),
  });
  const base = {
    topic: ofTopic(given.topic),
    reads: spread(given.reads, false),
    columns: columnsOf(given.columns),
  };
  if (given.kind !== "join") return { ...given, ...base };
  /** What a type's index becomes: there is one more for each source before it. */
  const moved = (index: number): number => {
    let end = 0;
    return index + sizes.filter((size) => (end += size) <= index).length;
  };
  const side = (plan: JoinSidePlan): JoinSidePlan => ({
    ...plan,
    ...(plan.table && { table: { ...plan.table, retraction: moved(plan.table.retraction) } }),
    reads: spread(plan.reads, false),
    columns: columnsOf(plan.columns),
  });
  const sources = given.sources?.map((source): SourcePlan => {
    const parts = [source.topic.types.length];
    return {
      ...source,
      topic: ofTopic(source.topic, parts),
      reads: spread(source.reads, false, parts),
      columns: columnsOf(source.columns, parts),
      ...(source.table && { table: withPulse(source.table) }),
    };
  });
  return {
    ...given,
    ...base,
    ...(sources && { sources }),
    left: side(given.left),
    right: side(given.right),
  };
};
