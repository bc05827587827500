/**
 * Tokens that clients hand back: where to resume a subscription, where the next page begins. Opaque,
 * and bound to what they were made for.
 *
 * T1. A resume token carries the commit number of every task, so whoever resumes with it finds out
 *     whether anything after it is missing: on this gateway, on another one, or with a rebuilt store.
 * T2. A token is refused with other fields than those it was given for.
 */
import { crc32 } from "node:zlib";
import { Option, Schema } from "effect";

export interface ResumePoint {
  readonly projection: string;
  readonly version: number;
  readonly keyPrefix: string;
  /** Everything up to this sequence of RESULTS was handled. */
  readonly position: number;
  /** Number of the last commit of each task up to there, by partition. */
  readonly numbers: ReadonlyMap<number, number>;
}

export interface PagePoint {
  /** The version that the first page was read from, whichever is active by now. */
  readonly version: number;
  /** The row after which the page begins. */
  readonly row: Buffer;
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const ResumeText = Schema.fromJsonString(
  Schema.Tuple([Schema.Literal("s1"), Schema.String, Count, Count, Count, Schema.Array(Count)]),
);

const PageText = Schema.fromJsonString(
  Schema.Tuple([Schema.Literal("p1"), Count, Count, Schema.String]),
);

const decodeResume = Schema.decodeUnknownOption(ResumeText);
const decodePage = Schema.decodeUnknownOption(PageText);

export const writeResumeToken = (point: ResumePoint): string => {
  const { projection, version, keyPrefix, position, numbers } = point;
  const flat = [...numbers].flat();
  return encode(["s1", projection, version, crc32(keyPrefix), position, flat]);
};

/** Undefined when the token was not made by `writeResumeToken`, or for another key prefix. */
export const readResumeToken = (token: string, keyPrefix: string): ResumePoint | undefined => {
  const text = Option.getOrUndefined(decodeResume(decode(token)));
  if (text === undefined || text[3] !== crc32(keyPrefix)) return undefined;
  const [, projection, version, , position, flat] = text;
  const numbers = new Map<number, number>();
  for (let i = 0; i + 1 < flat.length; i += 2) numbers.set(flat[i]!, flat[i + 1]!);
  return { projection, version, keyPrefix, position, numbers };
};

/** `query` says all fields of the request that must stay the same. */
export const writePageToken = (query: string, { version, row }: PagePoint): string =>
  encode(["p1", crc32(query), version, row.toString("base64url")]);

export const readPageToken = (query: string, token: string): PagePoint | undefined => {
  const text = Option.getOrUndefined(decodePage(decode(token)));
  if (text === undefined || text[1] !== crc32(query)) return undefined;
  return { version: text[2], row: Buffer.from(text[3], "base64url") };
};

const encode = (value: unknown): string =>
  Buffer.from(JSON.stringify(value), "utf8").toString("base64url");

const decode = (token: string): string => Buffer.from(token, "base64url").toString("utf8");
