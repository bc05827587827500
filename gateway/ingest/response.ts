/**
 * Encodes publish responses: columns are written straight from a request's arrays, so acknowledging
 * five hundred events makes no five hundred objects.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { PublishResponse, Rejection } from "../../proto/gen/tidemark/v1/ingest.ts";
import { varintBytes } from "./batch-buffer.ts";
import type { IngestRequest } from "./ingest-request.ts";

const VERDICTS = 0x0a;
const PARTITIONS = 0x12;
const SEQUENCES = 0x1a;
const REJECTIONS = 0x22;

const TWO_32 = 4_294_967_296;

/** A PublishBatchResponse or PublishStreamResponse for a request that is done. */
export const encodeResponse = (request: IngestRequest): Buffer => {
  const count = request.count;
  const batches = request.batches;
  let partitionsBytes = 0;
  let sequencesBytes = 0;
  if (batches.length === 1 && request.invalid === 0 && request.unavailable === 0) {
    partitionsBytes = count * varintBytes(batches[0].partition);
    sequencesBytes = count * varint53Bytes(batches[0].sequence);
  } else {
    for (let i = 0; i < count; i++) {
      const batch = request.batchOf(i);
      partitionsBytes += batch === undefined ? 1 : varintBytes(batch.partition);
      sequencesBytes += batch === undefined ? 1 : varint53Bytes(batch.sequence);
    }
  }
  const rejections =
    request.rejections.length === 0 ? undefined : encodeRejections(request.rejections);
  const bytes = Buffer.allocUnsafe(
    columnBytes(count) +
      columnBytes(partitionsBytes) +
      columnBytes(sequencesBytes) +
      (rejections?.length ?? 0),
  );
  let at = writeHeader(bytes, 0, VERDICTS, count);
  bytes.set(request.verdicts, at);
  at = writeHeader(bytes, at + count, PARTITIONS, partitionsBytes);
  for (let i = 0; i < count; i++) at = writeVarint(bytes, at, request.batchOf(i)?.partition ?? 0);
  at = writeHeader(bytes, at, SEQUENCES, sequencesBytes);
  for (let i = 0; i < count; i++) at = writeVarint(bytes, at, request.batchOf(i)?.sequence ?? 0);
  if (rejections !== undefined) bytes.set(rejections, at);
  return bytes;
};

/** The response to a streamed request that was refused whole: see publish-stream.ts. */
export const encodeRefusal = (verdicts: Uint8Array, rejection: Rejection): Buffer => {
  const count = verdicts.length;
  const rejections = encodeRejections([rejection]);
  const bytes = Buffer.alloc(3 * columnBytes(count) + rejections.length);
  let at = writeHeader(bytes, 0, VERDICTS, count);
  bytes.set(verdicts, at);
  at = writeHeader(bytes, at + count, PARTITIONS, count) + count;
  at = writeHeader(bytes, at, SEQUENCES, count) + count;
  bytes.set(rejections, at);
  return bytes;
};

export const encodePublishResponse = (response: PublishResponse): Buffer =>
  Buffer.from(PublishResponse.encode(response).finish());

const encodeRejections = (rejections: readonly Rejection[]): Uint8Array => {
  const writer = new BinaryWriter();
  for (const rejection of rejections) {
    Rejection.encode(rejection, writer.uint32(REJECTIONS).fork()).join();
  }
  return writer.finish();
};

const columnBytes = (bytes: number): number => (bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes);

const varint53Bytes = (value: number): number =>
  value < 0x10000000 ? varintBytes(value) : 4 + varintBytes(Math.floor(value / 0x10000000));

const writeHeader = (bytes: Buffer, at: number, tag: number, length: number): number => {
  if (length === 0) return at;
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, length);
};

const writeVarint = (bytes: Buffer, start: number, value: number): number => {
  let at = start;
  let rest = value;
  for (; rest >= TWO_32; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  rest >>>= 0;
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
};
