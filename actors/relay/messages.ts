/**
 * What the relay makes of one record of RESULTS: a message for each update, or for each dead letter.
 *
 * S1. The same record gives the same messages in the same order, so that an offset into them means
 *     the same after a restart.
 * S2. A message fits into one of NATS. Values that are small as Protobuf can be six times as large as
 *     JSON; an update whose body would not fit goes out without them, and says so. It is never dropped:
 *     its revision must be seen.
 */
import { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { DeadLetter, DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { kindName, updateToJson, updateWithoutValues } from "../../proto/result-json.ts";
import {
  deadLetterSubject,
  escapeKey,
  projectionSubject,
  UPDATE_HEADERS,
} from "../../proto/subjects.ts";
import type { SubjectsDefinition } from "../../projections/definition/definition.ts";
import { MESSAGE_BYTES_MIN } from "../../projections/definition/weight.ts";
import { utf8 } from "../kernel/text.ts";
import type { OutgoingMessage } from "../ports/relay-target.ts";
import { COLUMNS_FIELD, DEAD_LETTERS_FIELD, itemsOf, UPDATES_FIELD } from "./commit-items.ts";

/** Whose record it is. */
export interface RelaySource {
  readonly projection: string;
  readonly version: number;
  readonly subjects: SubjectsDefinition;
}

/** What is left of a message is for its subject and its headers: a key of 3 KiB, twice, and some. */
export const BODY_BYTES_MAX = MESSAGE_BYTES_MIN - 16 * 1024;

const encoder = new TextEncoder();

/** Last token of an update's subject: the key itself, or the bucket that its hash falls into. */
export const subjectToken = (subjects: SubjectsDefinition, key: string): string => {
  if (subjects.by === "key") return escapeKey(key);
  return `b${String(partitionOf(key, subjects.buckets)).padStart(4, "0")}`;
};

const ordinalHeader = (ordinal: number): readonly (readonly [string, string])[] =>
  ordinal === 0 ? [] : [[UPDATE_HEADERS.ordinal, String(ordinal)]];

/** The key stands escaped in its header, as in a subject: `unescapeKey` reads it. */
export const updateMessage = (
  { projection, version, subjects }: RelaySource,
  columns: readonly string[],
  update: Update,
): OutgoingMessage => {
  const json = { projection, version, columns };
  let data = encoder.encode(updateToJson(json, update));
  const omitted = data.byteLength > BODY_BYTES_MAX ? data.byteLength : undefined;
  if (omitted !== undefined) data = encoder.encode(updateWithoutValues(json, update, omitted));
  return {
    subject: projectionSubject(projection, subjectToken(subjects, update.key)),
    headers: [
      [UPDATE_HEADERS.kind, kindName(update.kind)],
      [UPDATE_HEADERS.revision, String(update.revision)],
      [UPDATE_HEADERS.version, String(version)],
      [UPDATE_HEADERS.windowStart, String(update.windowStart)],
      [UPDATE_HEADERS.windowEnd, String(update.windowEnd)],
      ...ordinalHeader(update.ordinal),
      [UPDATE_HEADERS.watermark, String(update.watermark)],
      [UPDATE_HEADERS.key, escapeKey(update.key)],
      ...(omitted === undefined ? [] : [[UPDATE_HEADERS.omitted, String(omitted)] as const]),
    ],
    data,
  };
};

/** Of a commit, or of a part of a promotion: columns and updates have the same numbers in both. */
export const updateMessages = (
  source: RelaySource,
  commit: Uint8Array,
): readonly OutgoingMessage[] => {
  const items = itemsOf(commit, UPDATES_FIELD);
  if (items.length === 0) return [];
  const columns = itemsOf(commit, COLUMNS_FIELD).map((bytes) => utf8.decode(bytes));
  return items.map((bytes) => updateMessage(source, columns, Update.decode(bytes)));
};

/** Headers of a message on dlq.>, for readers without the schema. Texts are escaped like keys. */
export const DEAD_LETTER_HEADERS = {
  reason: "Tidemark-Reason",
  projection: "Tidemark-Projection",
  version: "Tidemark-Version",
  position: "Tidemark-Position",
  eventId: "Tidemark-Event-Id",
  eventKey: "Tidemark-Event-Key",
  lateness: "Tidemark-Lateness-Ms",
} as const;

const REASON_TOKENS: Readonly<Record<DeadLetter_Reason, string>> = {
  [DeadLetter_Reason.REASON_UNSPECIFIED]: "unspecified",
  [DeadLetter_Reason.REASON_LATE]: "late",
  [DeadLetter_Reason.REASON_FUTURE]: "future",
  [DeadLetter_Reason.REASON_INVALID]: "invalid",
  [DeadLetter_Reason.REASON_POISON]: "poison",
  [DeadLetter_Reason.UNRECOGNIZED]: "unspecified",
};

/** The body is the DeadLetter, byte for byte as it was committed. */
export const deadLetterMessages = (
  source: RelaySource,
  commit: Uint8Array,
): readonly OutgoingMessage[] =>
  itemsOf(commit, DEAD_LETTERS_FIELD).map((bytes) => {
    const letter = DeadLetter.decode(bytes);
    const reason = REASON_TOKENS[letter.reason];
    const { partition = 0, sequence = 0, index = 0 } = letter.position ?? {};
    return {
      subject: deadLetterSubject(letter.topic, letter.projection, reason),
      headers: [
        [DEAD_LETTER_HEADERS.reason, reason],
        [DEAD_LETTER_HEADERS.projection, letter.projection],
        [DEAD_LETTER_HEADERS.version, String(source.version)],
        [DEAD_LETTER_HEADERS.position, `${partition}:${sequence}:${index}`],
        [DEAD_LETTER_HEADERS.eventId, escapeKey(letter.eventId)],
        [DEAD_LETTER_HEADERS.eventKey, escapeKey(letter.eventKey)],
        [DEAD_LETTER_HEADERS.lateness, String(letter.lateness)],
      ],
      data: bytes,
    };
  });
