/**
 * The published JSON Schemas of definitions (draft 2020-12), for editors and for those who write
 * definitions by program.
 *
 * J1. What the schema refuses is refused when a definition is read, too. The reverse holds as far as a
 *     schema can say it: not for fields, types of expressions, and lengths that are written as text.
 * J2. They are put together from the tables that the checks use, and typed by the definitions: a kind of
 *     projection or window, an aggregate or option that they do not know does not compile or fails a test.
 */
import { NAME_PATTERN } from "../../proto/subjects.ts";
import type { BASE_KEYS } from "../definition/check-projection.ts";
import {
  DEDUPE_HORIZON,
  PARTITIONS_MAX,
  TOPIC_DEFAULTS,
  type TOPIC_KEYS,
} from "../definition/check-topic.ts";
import { DEFAULT_KIND } from "../definition/kinds.ts";
import type { ProjectionKind } from "../definition/plan.ts";
import { BUCKETS, NOT_NEGATIVE, POSITIVE } from "../definition/reading.ts";
import { AGGREGATE_DEFINITION } from "./aggregate-schema.ts";
import { EXPRESSION, EXPRESSION_DEFINITION } from "./expression-schema.ts";
import { JOIN } from "./join-schema.ts";
import { bytes, described, DRAFT, duration, flag, object, optional, text, whole } from "./parts.ts";
import type { Schema } from "./parts.ts";
import { PATTERN, PATTERN_DEFINITIONS } from "./pattern-schema.ts";
import { WINDOW_PROJECTION } from "./window-projection-schema.ts";
import { WINDOW_DEFINITION } from "./window-schema.ts";
import type { KindForm } from "./parts.ts";

const name: Schema = { type: "string", pattern: NAME_PATTERN.source };

const SUBJECTS: Schema = {
  anyOf: [
    object({ by: { const: "key" } }, ["by"]),
    object({ by: { const: "bucket" }, buckets: whole(BUCKETS) }, ["by", "buckets"]),
  ],
};

const BASE: { readonly [Key in (typeof BASE_KEYS)[number]]: Schema } = {
  name: described("A lower-case letter, then lower-case letters, digits or -.", name),
  description: described("For people.", optional(text)),
  topic: described("The topic that it reads, by its name.", text),
  types: described(
    "Event types that it reads. By default all of the topic.",
    optional({ type: "array", items: text }),
  ),
  where: described("Which events count. By default all.", optional(EXPRESSION)),
  key: described("What results are grouped by. By default the event's key.", optional(EXPRESSION)),
  subjects: described("Where. By default a subject for each key.", optional(SUBJECTS)),
};

/** Every kind of projection; text says why it has no JSON form. */
export const FORMS: { readonly [Kind in ProjectionKind]: KindForm | string } = {
  window: WINDOW_PROJECTION,
  pattern: PATTERN,
  statechart: "its machine holds functions",
  fold: "its state and its reducer are functions",
  join: JOIN,
};

const schemaKey = { $schema: described("This schema, for editors.", text) };

const formOf = (kind: string, form: KindForm): Schema => {
  const { options, required, topicInParts = false, rules } = form;
  const standard = kind === DEFAULT_KIND;
  const properties = {
    ...schemaKey,
    kind: standard ? optional({ const: kind }) : { const: kind },
    ...BASE,
    ...(topicInParts ? { topic: optional(BASE.topic) } : {}),
    ...options,
  };
  const needed = [
    "name",
    ...(topicInParts ? [] : ["topic"]),
    ...(standard ? [] : ["kind"]),
    ...required,
  ];
  return { ...(object(properties, needed) as object), ...rules };
};

export const PROJECTION_SCHEMA: Schema = {
  $schema: DRAFT,
  $id: "urn:tidemark:schema:projection",
  title: "Tidemark projection",
  description: "A table of exact results over a topic. See docs/DEFINITIONS.md.",
  anyOf: Object.entries(FORMS).flatMap(([kind, form]) =>
    typeof form === "string" ? [] : [formOf(kind, form)],
  ),
  $defs: {
    expression: EXPRESSION_DEFINITION,
    window: WINDOW_DEFINITION,
    aggregate: AGGREGATE_DEFINITION,
    ...PATTERN_DEFINITIONS,
  },
};

const names: Schema = { type: "array", items: text, minItems: 1, uniqueItems: true };
const orDefault = (schema: Schema, key: keyof typeof TOPIC_DEFAULTS): Schema => ({
  default: TOPIC_DEFAULTS[key],
  ...(optional(schema) as object),
});

const TOPIC_OPTIONS: { readonly [Key in (typeof TOPIC_KEYS)[number]]: Schema } = {
  name: described("A lower-case letter, then lower-case letters, digits or -.", name),
  partitions: described(
    "Fixed for the life of the topic.",
    orDefault(whole({ min: 1, max: PARTITIONS_MAX }), "partitions"),
  ),
  schemas: described("Paths of .proto files, relative to this file.", names),
  types: described("Full names of the messages that are events of this topic.", names),
  maxOutOfOrdernessMs: described(
    "An event may be so much older than the newest of its partition without being late.",
    orDefault(duration(NOT_NEGATIVE), "maxOutOfOrdernessMs"),
  ),
  maxFutureSkewMs: described(
    "An event that is further ahead of the gateway's clock goes to the dead letters.",
    orDefault(duration(NOT_NEGATIVE), "maxFutureSkewMs"),
  ),
  dedupeHorizonMs: described(
    "An event's id counts once within this time of ingest.",
    orDefault(duration(DEDUPE_HORIZON), "dedupeHorizonMs"),
  ),
  idleAfterMs: described(
    "A partition that is silent for so long holds nobody back.",
    orDefault(duration(POSITIVE), "idleAfterMs"),
  ),
  retentionMs: described(
    "How long the log keeps events.",
    orDefault(duration(POSITIVE), "retentionMs"),
  ),
  compacted: described(
    "For a table's rows: the newest event of each key is kept for ever; others go after retentionMs.",
    { default: false, ...(optional(flag) as object) },
  ),
  maxBytes: described(
    "Size of a partition's log at which it takes no more; -1 for no limit.",
    orDefault(
      { anyOf: [{ const: -1 }, bytes({ min: 1, max: Number.MAX_SAFE_INTEGER })] },
      "maxBytes",
    ),
  ),
};

export const TOPIC_SCHEMA: Schema = {
  $schema: DRAFT,
  $id: "urn:tidemark:schema:topic",
  title: "Tidemark topic",
  description: "A log of typed events. See docs/DEFINITIONS.md.",
  ...(object({ ...schemaKey, ...TOPIC_OPTIONS }, ["name", "schemas", "types"]) as object),
};

export const DEFINITION_SCHEMAS = { projection: PROJECTION_SCHEMA, topic: TOPIC_SCHEMA } as const;

export type SchemaName = keyof typeof DEFINITION_SCHEMAS;

/** As a file holds it. */
export const schemaText = (name: SchemaName): string =>
  `${JSON.stringify(DEFINITION_SCHEMAS[name], null, 2)}\n`;
