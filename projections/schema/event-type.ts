/** What the engine needs to know of a message type: numbers, wire types and presence. */
import { ScalarType as Scalar, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { EventTypeSchema, FieldSchema, ScalarType } from "../definition/plan.ts";

const SCALARS: Readonly<Record<Scalar, ScalarType>> = {
  [Scalar.DOUBLE]: "double",
  [Scalar.FLOAT]: "float",
  [Scalar.INT64]: "int64",
  [Scalar.UINT64]: "uint64",
  [Scalar.INT32]: "int32",
  [Scalar.FIXED64]: "fixed64",
  [Scalar.FIXED32]: "fixed32",
  [Scalar.BOOL]: "bool",
  [Scalar.STRING]: "string",
  [Scalar.BYTES]: "bytes",
  [Scalar.UINT32]: "uint32",
  [Scalar.SFIXED32]: "sfixed32",
  [Scalar.SFIXED64]: "sfixed64",
  [Scalar.SINT32]: "sint32",
  [Scalar.SINT64]: "sint64",
};

const scalarOf = (field: DescField): ScalarType => {
  // A map is a list of messages on the wire.
  if (field.fieldKind === "map" || field.message !== undefined) return "message";
  return field.enum === undefined ? SCALARS[field.scalar] : "enum";
};

const fieldSchema = (field: DescField): FieldSchema => ({
  number: field.number,
  name: field.name,
  scalar: scalarOf(field),
  repeated: field.fieldKind === "list" || field.fieldKind === "map",
  optional: field.presence !== FeatureSet_FieldPresence.IMPLICIT,
  ...(field.fieldKind === "enum" && {
    values: Object.fromEntries(field.enum.values.map(({ name, number }) => [name, number])),
  }),
});

export const eventTypeOf = (message: DescMessage): EventTypeSchema => ({
  name: message.typeName,
  fields: message.fields.map(fieldSchema),
});
