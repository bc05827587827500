/** Commits, promotions and records as tests write them. */
import type { ResultRecord } from "../../actors/ports/result-log.ts";
import { Commit, Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { commitSubject, controlSubject } from "../../proto/subjects.ts";
import { EntryAssembler } from "./result-entry.ts";
import type { ResultEntry } from "./result-entry.ts";

export const HOUR = 3_600_000;

export const updateOf = (
  key: string,
  windowStart: number,
  count: number,
  over: Partial<Update> = {},
): Update => ({
  key,
  windowStart,
  windowEnd: windowStart + HOUR,
  kind: Kind.KIND_FINAL,
  revision: 1,
  ordinal: 0,
  watermark: windowStart + HOUR,
  partition: 0,
  sequence: 1,
  index: 0,
  values: [{ kind: { $case: "intValue", value: String(count) } }],
  ...over,
});

export const commitOf = (
  number: number,
  updates: Update[],
  over: Partial<Commit> = {},
): Commit => ({
  projection: "departures",
  version: 1,
  partition: 0,
  epoch: 1,
  number,
  partIndex: 0,
  partCount: 1,
  inputSequence: number,
  watermark: number * 1_000,
  idle: false,
  digest: Buffer.alloc(8),
  books: undefined,
  ingestTime: 0,
  definitionDigest: Buffer.alloc(8),
  retainFrom: 0,
  columns: ["flights"],
  updates,
  partials: [],
  deadLetters: [],
  routed: [],
  ...over,
});

export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
}

export const commitMessage = (commit: Commit): Message => ({
  subject: commitSubject({ kind: "window", ...commit }),
  data: Commit.encode(commit).finish(),
});

export const promotionMessage = (projection: string, version: number): Message => ({
  subject: controlSubject(projection),
  data: Promotion.encode({
    ...Promotion.decode(new Uint8Array(0)),
    projection,
    version,
  }).finish(),
});

export const recordOf = (sequence: number, message: Message): ResultRecord => ({
  sequence,
  pending: 0,
  ...message,
});

export const entriesOf = (records: readonly ResultRecord[]): ResultEntry[] => {
  const assembler = new EntryAssembler();
  const entries: ResultEntry[] = [];
  for (const record of records) assembler.push(record, entries);
  return entries;
};
