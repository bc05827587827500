/**
 * Names of streams and subjects: the part of the contract that Protobuf cannot say.
 *
 * | stream              | subjects                                        | holds                         |
 * |---------------------|-------------------------------------------------|-------------------------------|
 * | EVENTS_<topic>_<p>  | events.<topic>.<p>                              | RecordBatch                   |
 * |                     | events.via_<projection>_<version>.<p>           | RecordBatch, re-keyed         |
 * | RESULTS             | results.<projection>.<version>.<p>              | Commit, with updates          |
 * |                     | partials.<projection>.<version>.<p>             | Commit, with partials         |
 * |                     | routed.<projection>.<version>.<upstream>        | Commit, with routed events    |
 * |                     | control.<projection>                            | Promotion                     |
 * | PROJECTIONS         | projections.<projection>.<key or bucket>        | JSON, one update a message    |
 * |                     | relay.projections                               | cursor of the relay           |
 * | DLQ                 | dlq.<topic>.<projection>.<reason>               | DeadLetter                    |
 * |                     | relay.dlq                                       | cursor of the relay           |
 */

import { createHash } from "node:crypto";

export const RESULTS_STREAM = "RESULTS";
export const PROJECTIONS_STREAM = "PROJECTIONS";
export const DLQ_STREAM = "DLQ";

/** Names of topics and projections: they stand in subjects and stream names unescaped. */
export const NAME_PATTERN = /^[a-z][a-z0-9-]{0,62}$/;
export const NAME_RULE = "a lower-case letter, then lower-case letters, digits or '-', 63 at most";

export const eventsStream = (topic: string, partition: number): string =>
  `EVENTS_${topic}_${partition}`;
export const eventsSubject = (topic: string, partition: number): string =>
  `events.${topic}.${partition}`;

/**
 * The log of its own of a re-keyed projection, as a topic: its streams are named like those of any
 * topic. Names that users give have no "_", so none of theirs is ever taken.
 */
export const routedTopic = (projection: string, version: number): string =>
  `${ROUTED_TOPIC_PREFIX}${projection}_${version}`;
export const ROUTED_TOPIC_PREFIX = "via_";

/** A projection task: one partition of one version of one projection, or its merging task. */
export interface TaskId {
  readonly kind: "window" | "partial" | "merge" | "routing";
  readonly projection: string;
  readonly version: number;
  /** 0 for a merging task; of a routing task its number among the upstreams. */
  readonly partition: number;
}

const COMMIT_ROOTS = {
  window: "results",
  merge: "results",
  partial: "partials",
  routing: "routed",
} as const satisfies Record<TaskId["kind"], string>;

/** Subject of a task's commits in RESULTS. */
export const commitSubject = (task: TaskId): string =>
  `${COMMIT_ROOTS[task.kind]}.${task.projection}.${task.version}.${task.partition}`;

/** All partial commits that the merging task of one version reads. */
export const partialsFilter = (projection: string, version: number): string =>
  `partials.${projection}.${version}.*`;

/** All commits of routing tasks that the relay of one re-keyed log copies. */
export const routedFilter = (projection: string, version: number): string =>
  `routed.${projection}.${version}.*`;

export const controlSubject = (projection: string): string => `control.${projection}`;

/**
 * Longest escaped key. A server ends the connection of a client whose subject does not fit into its
 * control line, 4,096 bytes by default, and refuses headers of more than 64 KiB.
 */
export const ESCAPED_KEY_MAX = 3 * 1024;

/**
 * A key as one subject token: UTF-8 bytes other than letters, digits, '-', '_' and '~' become
 * %XX; the empty key is "%". One that would be longer than ESCAPED_KEY_MAX, as no key of an event
 * is, becomes "%~" and its SHA-256 in hexadecimal. Different keys never share a subject.
 */
export const escapeKey = (key: string): string => {
  // No character becomes less than one, so what is far too long is not escaped in vain.
  const token = key.length > ESCAPED_KEY_MAX ? undefined : escapeBytes(key);
  if (token !== undefined && token.length <= ESCAPED_KEY_MAX) return token;
  return `%~${createHash("sha256").update(key, "utf8").digest("hex")}`;
};

const escapeBytes = (key: string): string => {
  if (key === "") return "%";
  if (/^[A-Za-z0-9_~-]+$/.test(key)) return key;
  let token = "";
  for (const byte of new TextEncoder().encode(key)) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_~-]/.test(char)
      ? char
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
};

/** The inverse of {@link escapeKey}; throws URIError for a key that was too long to be escaped. */
export const unescapeKey = (token: string): string =>
  token === "%" ? "" : decodeURIComponent(token);

export const projectionSubject = (projection: string, token: string): string =>
  `projections.${projection}.${token}`;

export const deadLetterSubject = (topic: string, projection: string, reason: string): string =>
  `dlq.${topic}.${projection}.${reason}`;

/** Subject of the relay's cursor in the stream that it fills. */
export const relayCursorSubject = (target: "projections" | "dlq"): string => `relay.${target}`;

/** Headers of a message on projections.>: all that a consumer needs to order and replace. */
export const UPDATE_HEADERS = {
  kind: "Tidemark-Kind",
  revision: "Tidemark-Revision",
  version: "Tidemark-Version",
  windowStart: "Tidemark-Window-Start",
  windowEnd: "Tidemark-Window-End",
  /** Only where it is not 0. */
  ordinal: "Tidemark-Ordinal",
  watermark: "Tidemark-Watermark",
  key: "Tidemark-Key",
  /** On an update whose values are left out, since they would not fit: their size as JSON. */
  omitted: "Tidemark-Omitted-Bytes",
} as const;
