/** What the engine needs to know of a message type: numbers, wire types and presence. */
import {
  ScalarType as Scalar,
  type DescEnum,
  type DescField,
  type DescMessage,
} from "@bufbuild/protobuf";
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
  ...(field.enum !== undefined && field.fieldKind !== "map" && { values: valuesOf(field.enum) }),
  ...(field.fieldKind === "map" && { map: true as const, message: () => entryOf(field) }),
  ...(field.fieldKind !== "map" && messageOf(field)),
});

const valuesOf = (each: DescEnum): Readonly<Record<string, number>> =>
  Object.fromEntries(each.values.map(({ name, number }) => [name, number]));

const messageOf = (field: DescField): Pick<FieldSchema, "message" | "delimited"> => {
  const { message } = field;
  if (message === undefined) return {};
  const delimited = "delimitedEncoding" in field && field.delimitedEncoding;
  return { message: () => eventTypeOf(message), ...(delimited && { delimited: true as const }) };
};

/** The message that a map's entries are. */
const entryOf = (field: DescField & { fieldKind: "map" }): EventTypeSchema => ({
  name: `${field.parent.typeName}.${field.name}`,
  fields: [
    { number: 1, name: "key", scalar: SCALARS[field.mapKey], repeated: false, optional: false },
    {
      number: 2,
      name: "value",
      scalar:
        field.message !== undefined ? "message" : field.enum ? "enum" : SCALARS[field.scalar!],
      repeated: false,
      optional: false,
      ...(field.enum !== undefined && { values: valuesOf(field.enum) }),
      ...messageOf(field),
    },
  ],
});

export const eventTypeOf = (message: DescMessage): EventTypeSchema => ({
  name: message.typeName,
  fields: message.fields.map(fieldSchema),
});
