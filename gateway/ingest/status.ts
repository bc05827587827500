/**
 * gRPC statuses with details that a program can read: google.rpc.RetryInfo and
 * google.rpc.BadRequest in `grpc-status-details-bin`, and the retry delay once more in
 * `grpc-retry-pushback-ms`, which clients with a retry policy obey by themselves (gRFC A6).
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Metadata, status } from "@grpc/grpc-js";
import { short } from "./ingest-request.ts";

/** What grpc-js takes for a call's error. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

export const plainStatus = (code: status, details: string): CallStatus => ({
  code,
  details: short(details),
  metadata: new Metadata(),
});

/** A refusal that is worth another try after `delayMs`. */
export const retryStatus = (code: status, details: string, delayMs: number): CallStatus => {
  const retryInfo = new BinaryWriter();
  const duration = retryInfo.uint32(10).fork();
  duration.uint32(8).int64(Math.floor(delayMs / 1000));
  duration.uint32(16).int32((delayMs % 1000) * 1_000_000);
  duration.join();
  const metadata = withDetail(code, short(details), "google.rpc.RetryInfo", retryInfo.finish());
  metadata.set("grpc-retry-pushback-ms", String(delayMs));
  return { code, details: short(details), metadata };
};

/** INVALID_ARGUMENT for one field. */
export const fieldStatus = (field: string, reason: string): CallStatus => {
  const details = short(field === "" ? reason : `${field}: ${reason}`);
  const badRequest = new BinaryWriter();
  badRequest.uint32(10).fork().uint32(10).string(field).uint32(18).string(short(reason)).join();
  const metadata = withDetail(
    status.INVALID_ARGUMENT,
    details,
    "google.rpc.BadRequest",
    badRequest.finish(),
  );
  return { code: status.INVALID_ARGUMENT, details, metadata };
};

/** Metadata with a google.rpc.Status that holds one detail message. */
const withDetail = (code: status, text: string, type: string, detail: Uint8Array): Metadata => {
  const writer = new BinaryWriter().uint32(8).int32(code).uint32(18).string(text);
  const any = writer.uint32(26).fork();
  any.uint32(10).string(`type.googleapis.com/${type}`).uint32(18).bytes(detail);
  any.join();
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(writer.finish()));
  return metadata;
};
