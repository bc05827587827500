/**
 * Descriptors of parsed .proto files: the form in which Protobuf libraries exchange schemas.
 * Messages and enums only: services, extensions and custom options say nothing about payloads.
 */
import { create } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import {
  DescriptorProtoSchema,
  Edition,
  EnumDescriptorProtoSchema,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FeatureSet_Utf8Validation,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  type FileDescriptorSet,
} from "@bufbuild/protobuf/wkt";
import protobuf from "protobufjs";
import type { ParsedFiles, ProtoFile } from "./parse-proto.ts";
import { wellKnownDescriptor } from "./well-known.ts";

const SCALARS: Readonly<Record<string, FieldDescriptorProto_Type>> = {
  double: FieldDescriptorProto_Type.DOUBLE,
  float: FieldDescriptorProto_Type.FLOAT,
  int64: FieldDescriptorProto_Type.INT64,
  uint64: FieldDescriptorProto_Type.UINT64,
  int32: FieldDescriptorProto_Type.INT32,
  fixed64: FieldDescriptorProto_Type.FIXED64,
  fixed32: FieldDescriptorProto_Type.FIXED32,
  bool: FieldDescriptorProto_Type.BOOL,
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
  uint32: FieldDescriptorProto_Type.UINT32,
  sfixed32: FieldDescriptorProto_Type.SFIXED32,
  sfixed64: FieldDescriptorProto_Type.SFIXED64,
  sint32: FieldDescriptorProto_Type.SINT32,
  sint64: FieldDescriptorProto_Type.SINT64,
};

/** The features of an editions file as the parser resolved them, by their names in Protobuf. */
type Features = Readonly<Record<string, string>>;

const featuresOf = (object: protobuf.ReflectionObject): Features =>
  (object as unknown as { readonly _features: Features })._features;

const optionOf = (object: protobuf.ReflectionObject, name: string): unknown =>
  (object.options as Readonly<Record<string, unknown>> | undefined)?.[name];

const typeOf = (field: protobuf.FieldBase): FieldDescriptorProto_Type => {
  const scalar = SCALARS[field.type];
  if (scalar !== undefined) return scalar;
  if (field.resolvedType instanceof protobuf.Enum) return FieldDescriptorProto_Type.ENUM;
  return field instanceof protobuf.Field && field.delimited
    ? FieldDescriptorProto_Type.GROUP
    : FieldDescriptorProto_Type.MESSAGE;
};

const labelOf = (field: protobuf.Field, file: ProtoFile): FieldDescriptorProto_Label => {
  if (field.repeated || field.map) return FieldDescriptorProto_Label.REPEATED;
  return field.required && file.edition === "proto2"
    ? FieldDescriptorProto_Label.REQUIRED
    : FieldDescriptorProto_Label.OPTIONAL;
};

const mapEntryName = (field: protobuf.FieldBase): string => {
  const camel = protoCamelCase(field.name);
  return `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`;
};

const fieldOptions = (field: protobuf.FieldBase, file: ProtoFile) => {
  const packed = optionOf(field, "packed");
  const options = typeof packed === "boolean" ? { packed } : {};
  if (file.edition === "proto2" || file.edition === "proto3") return options;
  const features = featuresOf(field);
  return {
    features: {
      fieldPresence:
        FeatureSet_FieldPresence[
          features["field_presence"] as keyof typeof FeatureSet_FieldPresence
        ],
      repeatedFieldEncoding:
        FeatureSet_RepeatedFieldEncoding[
          features["repeated_field_encoding"] as keyof typeof FeatureSet_RepeatedFieldEncoding
        ],
      messageEncoding:
        FeatureSet_MessageEncoding[
          features["message_encoding"] as keyof typeof FeatureSet_MessageEncoding
        ],
      utf8Validation:
        FeatureSet_Utf8Validation[
          features["utf8_validation"] as keyof typeof FeatureSet_Utf8Validation
        ],
    },
  };
};

const fieldDescriptor = (
  field: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
  file: ProtoFile,
): FieldDescriptorProto => {
  const defaultValue = optionOf(field, "default");
  const jsonName = optionOf(field, "json_name");
  return create(FieldDescriptorProtoSchema, {
    name: field.name,
    number: field.id,
    label: labelOf(field, file),
    type: field.map ? FieldDescriptorProto_Type.MESSAGE : typeOf(field),
    ...(field.map
      ? { typeName: `${field.parent!.fullName}.${mapEntryName(field)}` }
      : field.resolvedType && { typeName: field.resolvedType.fullName }),
    jsonName: typeof jsonName === "string" ? jsonName : protoCamelCase(field.name),
    ...(field.partOf && { oneofIndex: oneofs.indexOf(field.partOf) }),
    ...(optionOf(field, "proto3_optional") === true && { proto3Optional: true }),
    ...(defaultValue !== undefined && { defaultValue: String(defaultValue) }),
    options: fieldOptions(field, file),
  });
};

/** A map is a repeated message of key and value. */
const mapEntry = (field: protobuf.MapField, file: ProtoFile): DescriptorProto =>
  create(DescriptorProtoSchema, {
    name: mapEntryName(field),
    field: [
      {
        name: "key",
        number: 1,
        label: FieldDescriptorProto_Label.OPTIONAL,
        type: SCALARS[field.keyType]!,
        jsonName: "key",
        options: fieldOptions(field, file),
      },
      {
        name: "value",
        number: 2,
        label: FieldDescriptorProto_Label.OPTIONAL,
        type: typeOf(field),
        jsonName: "value",
        ...(field.resolvedType && { typeName: field.resolvedType.fullName }),
        options: fieldOptions(field, file),
      },
    ],
    options: { mapEntry: true },
  });

const enumDescriptor = (each: protobuf.Enum, file: ProtoFile): EnumDescriptorProto => {
  const editions = file.edition !== "proto2" && file.edition !== "proto3";
  const enumType = featuresOf(each)["enum_type"] as keyof typeof FeatureSet_EnumType;
  return create(EnumDescriptorProtoSchema, {
    name: each.name,
    value: Object.entries(each.values).map(([name, number]) => ({ name, number })),
    options: {
      ...(optionOf(each, "allow_alias") === true && { allowAlias: true }),
      ...(editions && { features: { enumType: FeatureSet_EnumType[enumType] } }),
    },
  });
};

const messageDescriptor = (type: protobuf.Type, file: ProtoFile): DescriptorProto => {
  const nested = type.nestedArray;
  // Those that stand for `optional` come last, as in descriptors of `protoc`.
  const synthetic = (oneof: protobuf.OneOf): number => (oneof.isProto3Optional ? 1 : 0);
  const oneofs = [...type.oneofsArray].sort((left, right) => synthetic(left) - synthetic(right));
  const maps = type.fieldsArray.filter((field) => field instanceof protobuf.MapField);
  return create(DescriptorProtoSchema, {
    name: type.name,
    field: type.fieldsArray.map((field) => fieldDescriptor(field, oneofs, file)),
    oneofDecl: oneofs.map((oneof) => ({ name: oneof.name })),
    nestedType: [
      ...nested
        .filter((each) => each instanceof protobuf.Type)
        .map((each) => messageDescriptor(each, file)),
      ...maps.map((field) => mapEntry(field, file)),
    ],
    enumType: nested
      .filter((each) => each instanceof protobuf.Enum)
      .map((each) => enumDescriptor(each, file)),
  });
};

const fileDescriptor = (file: ProtoFile): FileDescriptorProto => {
  const editions = file.edition !== "proto2" && file.edition !== "proto3";
  return create(FileDescriptorProtoSchema, {
    name: file.name,
    package: file.package,
    dependency: [...file.imports],
    syntax: editions ? "editions" : file.edition,
    ...(editions && { edition: Edition[`EDITION_${file.edition}` as keyof typeof Edition] }),
    messageType: file.messages.map((type) => messageDescriptor(type, file)),
    enumType: file.enums.map((each) => enumDescriptor(each, file)),
  });
};

/** In order of linking, the google/protobuf files first. */
export const descriptorSetOf = ({ files, wellKnown }: ParsedFiles): FileDescriptorSet =>
  create(FileDescriptorSetSchema, {
    file: [...wellKnown.map((name) => wellKnownDescriptor(name)!), ...files.map(fileDescriptor)],
  });
