/**
 * The digest of a definition: what a commit names, so that a changed definition never goes on from
 * old state.
 *
 * G1. It covers all that results depend on, and nothing else: not the description, the subjects or
 *     how long the log is kept.
 * G2. It does not depend on the order in which the keys of an object were written. The order of
 *     aggregates is that of the values in results, so it counts.
 */
import { createHash } from "node:crypto";
import type { CheckedProjection } from "./check-projection.ts";
import type { ProjectionDefinition } from "./definition.ts";
import { isMachine } from "./statechart-machine.ts";
import type { FieldColumn, SourcePlan, TopicPlan } from "./plan.ts";

/**
 * JSON with sorted keys and without spaces. Keys that are undefined are left out. A function is its
 * source text: see K1 in `code.ts`.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value === "function") {
    const text = `"function":${JSON.stringify(Function.prototype.toString.call(value))}`;
    // XState's actions are functions that say in their properties what they do.
    const own = Object.keys(value).length === 0 ? "" : `,"has":${canonicalJson({ ...value })}`;
    return `{${text}${own}}`;
  }
  if (isMachine(value)) {
    const { config, implementations } = value;
    return canonicalJson({ config, implementations });
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`);
  return `{${entries.join(",")}}`;
};

/** Of a definition as it was written: 16 hexadecimal digits that tell two of them apart. */
export const writtenDigest = (definition: ProjectionDefinition): string =>
  createHash("sha256").update(canonicalJson(definition)).digest("hex").slice(0, 16);

/** What results depend on of events that come from one topic by one key. */
export const coveredOf = ({
  topic,
  reads,
  columns,
  where,
  key,
  table,
}: SourcePlan): Readonly<Record<string, unknown>> => {
  const { name, partitions, maxOutOfOrdernessMs, maxFutureSkewMs, dedupeHorizonMs } =
    topic.definition;
  return {
    topic: { name, partitions, maxOutOfOrdernessMs, maxFutureSkewMs, dedupeHorizonMs },
    types: topic.types
      .filter((_, index) => reads[index])
      .map((type) => type.name)
      .sort(),
    columns: columns.map((column) => ({ path: column.path, fields: coveredFields(column, topic) })),
    where,
    key,
    table: table && { name: table.definition.name, digest: table.digest.join() },
  };
};

const coveredFields = ({ fields }: FieldColumn, topic: TopicPlan) =>
  Object.fromEntries(
    fields.flatMap((field, index) => {
      if (field === undefined) return [];
      const { number, scalar, optional } = field;
      return [[topic.types[index]!.name, { number, scalar, optional }]];
    }),
  );

/** 8 bytes. `projection` is the resolved one. */
export const digestOf = ({
  definition,
  kind,
  topic,
  reads,
  columns,
}: CheckedProjection): Uint8Array => {
  const { where, key } = definition;
  const { sources } = kind;
  const covered =
    sources === undefined
      ? { ...coveredOf({ topic: topic!, reads, columns, where, key }), ...kind.covered }
      : { sources: sources.map(coveredOf), ...kind.covered };
  const hash = createHash("sha256").update(canonicalJson(covered)).digest();
  return new Uint8Array(hash.subarray(0, 8));
};
