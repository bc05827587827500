/**
 * A stored row: the update exactly as its commit holds it, behind what the store itself looks at.
 *
 *   revision, 4 bytes | columns, 4 | kind, 1 | encoded tidemark.v1.Update
 *
 * `columns` numbers the list of value names, which all rows of a version share.
 */
import { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { columnName } from "../../proto/result-json.ts";
import type { UpdateSource } from "../../proto/result-json.ts";

export const ROW_HEAD_BYTES = 9;

export const writeRowHead = (
  row: Buffer,
  revision: number,
  kind: number,
  columns: number,
): void => {
  row.writeUInt32LE(revision, 0);
  row.writeUInt32LE(columns, 4);
  row[8] = kind;
};

export const rowRevision = (row: Buffer): number => row.readUInt32LE(0);

/** A retracted window stays as a row without a result, so that no older revision brings it back. */
export const rowIsLive = (row: Buffer): boolean => row[8] !== Kind.KIND_RETRACTION;

export const rowColumns = (row: Buffer): number => row.readUInt32LE(4);

export const rowResult = (source: UpdateSource, row: Uint8Array): Result =>
  resultOf(source, Update.decode(row.subarray(ROW_HEAD_BYTES)));

export const resultOf = (source: UpdateSource, update: Update): Result => ({
  projection: source.projection,
  version: source.version,
  key: update.key,
  window: { start: update.windowStart, end: update.windowEnd },
  kind: update.kind,
  revision: update.revision,
  watermark: update.watermark,
  position: { partition: update.partition, sequence: update.sequence, index: update.index },
  values: update.values.map((value, i) => ({ name: columnName(source.columns, i), value })),
  ordinal: update.ordinal,
});
