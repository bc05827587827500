/**
 * The event types that some .proto files declare: loaded at run time, without a compiler.
 *
 *   const schemas = loadSchemas(["/path/to/flights.proto"]);
 *   schemas.toBinary("flights.Departure", '{"delay": 12}');
 */
import {
  createFileRegistry,
  toBinary,
  type DescMessage,
  type FileRegistry,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type FileDescriptorSet } from "@bufbuild/protobuf/wkt";
import { suggestion } from "../definition/did-you-mean.ts";
import type { EventTypeSchema } from "../definition/plan.ts";
import type { EventTypes } from "../definition/plan-projection.ts";
import { SchemaError } from "../errors.ts";
import { descriptorSetOf } from "./descriptors.ts";
import { eventTypeOf } from "./event-type.ts";
import { parseProtos, readFromDisk, type ReadProto } from "./parse-proto.ts";
import { binaryToJson, jsonToBinary } from "./payload-json.ts";

export class SchemaSet implements EventTypes {
  readonly registry: FileRegistry;
  /** Full names of the message types of the files, without those of google/protobuf. */
  readonly typeNames: readonly string[];
  readonly #descriptors: FileDescriptorSet;
  readonly #eventTypes = new Map<string, EventTypeSchema>();

  constructor(descriptors: FileDescriptorSet) {
    this.#descriptors = descriptors;
    this.registry = createFileRegistry(descriptors);
    this.typeNames = [...this.registry]
      .filter((each) => each.kind === "message" && !each.file.name.startsWith("google/protobuf/"))
      .map((each) => each.typeName);
  }

  /** Encoded google.protobuf.FileDescriptorSet, imports included. */
  get descriptorSet(): Uint8Array {
    return toBinary(FileDescriptorSetSchema, this.#descriptors);
  }

  /** Undefined when no file declares it; {@link message} throws instead. */
  eventType(name: string): EventTypeSchema | undefined {
    let type = this.#eventTypes.get(name);
    if (type === undefined) {
      const message = this.registry.getMessage(name);
      if (message === undefined) return undefined;
      type = eventTypeOf(message);
      this.#eventTypes.set(name, type);
    }
    return type;
  }

  /** Throws {@link SchemaError} for an unknown type; it names those that there are. */
  message(typeName: string): DescMessage {
    const message = this.registry.getMessage(typeName);
    if (message !== undefined) return message;
    throw new SchemaError(
      `no schema declares a message ${JSON.stringify(typeName)}` +
        suggestion(typeName, this.typeNames, "messages"),
    );
  }

  /** ProtoJSON to Protobuf. Throws a PayloadError with the path of the field that is wrong. */
  toBinary(typeName: string, json: string): Uint8Array {
    return jsonToBinary(this.message(typeName), json, this.registry);
  }

  /** Protobuf to ProtoJSON. Throws a PayloadError when the bytes are no such message. */
  toJson(typeName: string, bytes: Uint8Array): string {
    return binaryToJson(this.message(typeName), bytes, this.registry);
  }
}

/**
 * Loads .proto files with all that they import. Throws {@link SchemaError}. An import is looked for
 * beside the importing file and, where that lies in folders named as its package, where they start.
 */
export const loadSchemas = (paths: readonly string[], read: ReadProto = readFromDisk): SchemaSet =>
  new SchemaSet(descriptorSetOf(parseProtos(paths, read)));

/** The same from text: one file. */
export const parseSchema = (source: string, name = "schema.proto"): SchemaSet => {
  const path = `/${name}`;
  return loadSchemas([path], (wanted) => (wanted === path ? source : undefined));
};
