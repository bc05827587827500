/**
 * The plan that a case runs: of a projection by name, of a definition with its own topic, or of a
 * definition whose topic stands in the case.
 *
 * P1. The topic has one more event type, the pulse, which no projection reads: an event that moves the
 *     watermark and counts nowhere.
 */
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { EventTypeSchema, ProjectionPlan } from "../../projections/definition/plan.ts";
import { topicsOf } from "../../projections/definition/make-definition.ts";
import { at, shown } from "../../projections/definition/reading.ts";
import type { Fields, Mistakes } from "../../projections/definition/reading.ts";
import { DefinitionError, SchemaError } from "../../projections/errors.ts";
import { loadSchemas } from "../../projections/schema/schema-set.ts";
import type { SchemaSet } from "../../projections/schema/schema-set.ts";

export const PULSE: EventTypeSchema = { name: "tidemark.testkit.Pulse", fields: [] };

export interface NamedProjection {
  readonly definition: ProjectionDefinition;
  /** All that it reads. */
  readonly topics: readonly unknown[];
}

/** Projections that a case may name. */
export type FindProjection = (name: string) => NamedProjection | undefined;

export interface CasePlan {
  readonly plan: ProjectionPlan;
  readonly schemas: SchemaSet;
}

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
  if (typeof projection === "string") {
    const found = find(projection);
    if (found === undefined) {
      return mistakes.add("projection", `there is no projection ${shown(projection)} here`);
    }
    if (given["topic"] !== undefined) {
      mistakes.add("topic", `${shown(projection)} has its own; leave it out`);
    }
    return plan(found.definition, found.topics as readonly Fields[], loadSchemas, mistakes);
  }
  const definition = mistakes.record(projection, "projection");
  if (definition === undefined) return undefined;
  const own = topicsOf(definition as unknown as ProjectionDefinition);
  if (own.length > 0 && given["topic"] === undefined) {
    return plan(definition, own as unknown as readonly Fields[], loadSchemas, mistakes);
  }
  const topic = mistakes.record(given["topic"] ?? {}, "topic");
  return topic === undefined ? undefined : planInline(definition, topic, mistakes);
};

const planInline = (
  definition: Fields,
  { proto, ...topic }: Fields,
  mistakes: Mistakes,
): CasePlan | undefined => {
  const name = topic["name"] ?? definition["topic"] ?? TOPIC.name;
  const files = new Map<string, string>();
  let types = topic["types"] ?? (proto === undefined ? TYPES : undefined);
  if (proto !== undefined) {
    const text = mistakes.text(proto, "topic.proto");
    if (text === undefined) return undefined;
    files.set("/case.proto", text);
  }
  if (!Array.isArray(types) && types !== undefined) {
    const declared = mistakes.record(types, "topic.types");
    if (declared === undefined) return undefined;
    const before = mistakes.list.length;
    for (const [file, text] of protosOf(declared, mistakes)) files.set(file, text);
    if (mistakes.list.length > before) return undefined;
    types = Object.keys(declared);
  }
  const schemas = files.size === 0 ? (topic["schemas"] as readonly string[]) : [...files.keys()];
  return plan(
    { name: "case", topic: name, ...definition },
    [{ ...TOPIC, ...topic, name, types, schemas }],
    files.size === 0 ? loadSchemas : () => loadSchemas(schemas, (path) => files.get(path)),
    mistakes,
  );
};

/** One .proto file a package, from the compact form. */
const protosOf = (types: Fields, mistakes: Mistakes): ReadonlyMap<string, string> => {
  const files = new Map<string, string>();
  for (const [type, value] of Object.entries(types)) {
    const path = at("topic.types", type);
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
  topics: readonly Fields[],
  load: (paths: readonly string[]) => SchemaSet,
  mistakes: Mistakes,
): CasePlan | undefined => {
  let part = "topic";
  try {
    const planned = topics.map((topic) => {
      const schemas = load((topic["schemas"] ?? []) as readonly string[]);
      return { schemas, topic: planTopic(topic as never, schemas) };
    });
    part = "projection";
    const [first, ...others] = planned;
    const plans = others.map(({ topic }) => topic);
    const made = planProjection(definition as ProjectionDefinition, first!.topic, plans);
    if (made.sources !== undefined) {
      return mistakes.add("projection", "reads several topics, and cases have one");
    }
    return { plan: withPulse(made), schemas: first!.schemas };
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
    if (error instanceof SchemaError) return mistakes.add("topic", error.message);
    throw error;
  }
};

const withPulse = (given: ProjectionPlan): ProjectionPlan => ({
  ...given,
  topic: { ...given.topic, types: [...given.topic.types, PULSE] },
  reads: [...given.reads, false],
  columns: given.columns.map((column) => ({ ...column, fields: [...column.fields, undefined] })),
});
