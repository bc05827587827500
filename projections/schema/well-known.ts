/** The google/protobuf/*.proto files that may be imported without lying anywhere on disk. */
import { createRequire } from "node:module";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import * as wkt from "@bufbuild/protobuf/wkt";
import protobuf from "protobufjs";

const require = createRequire(import.meta.url);

const DESCRIPTORS: Readonly<Record<string, FileDescriptorProto>> = Object.fromEntries(
  [
    wkt.file_google_protobuf_any,
    wkt.file_google_protobuf_api,
    wkt.file_google_protobuf_descriptor,
    wkt.file_google_protobuf_duration,
    wkt.file_google_protobuf_empty,
    wkt.file_google_protobuf_field_mask,
    wkt.file_google_protobuf_source_context,
    wkt.file_google_protobuf_struct,
    wkt.file_google_protobuf_timestamp,
    wkt.file_google_protobuf_type,
    wkt.file_google_protobuf_wrappers,
  ].map((file) => [file.proto.name, file.proto]),
);

export const wellKnownNames: readonly string[] = Object.keys(DESCRIPTORS);

/** Its descriptor, as `protoc` made it; undefined when the name is none of theirs. */
export const wellKnownDescriptor = (name: string): FileDescriptorProto | undefined =>
  Object.hasOwn(DESCRIPTORS, name) ? DESCRIPTORS[name] : undefined;

/** Makes the file's types known to the parser, so that references to them resolve. */
export const addWellKnown = (root: protobuf.Root, name: string): void => {
  const file =
    protobuf.common.get(name) ??
    (require(`protobufjs/${name.replace(/proto$/, "json")}`) as protobuf.INamespace);
  const google = file.nested?.["google"] as protobuf.INamespace | undefined;
  const types = (google?.nested?.["protobuf"] as protobuf.INamespace | undefined)?.nested ?? {};
  const namespace = root.define("google.protobuf");
  // Some of these files bring along what they import.
  for (const [type, json] of Object.entries(types)) {
    if (namespace.get(type) === null) namespace.addJSON({ [type]: json });
  }
};
