/**
 * Server reflection, v1 and v1alpha: clients such as grpcurl learn the contract from the server.
 * Read from the .proto files at start-up, so that it is what was published.
 *
 * Descriptors are made here and not by @grpc/proto-loader, whose names are relative and whose files
 * are merged by package: strict clients refuse them.
 */
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type ServiceDescriptorProto,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import protobuf from "protobufjs";
import { descriptorSetOf } from "../projections/schema/descriptors.ts";
import { parseProtos, readFromDisk } from "../projections/schema/parse-proto.ts";

export interface ReflectedFiles {
  /** Folder that imports are relative to: the one that holds `tidemark/`. */
  readonly protoDir: string;
  /** Relative to it: "tidemark/v1/ingest.proto". */
  readonly files: readonly string[];
}

export const addReflection = (server: Server, files: ReflectedFiles): void => {
  const fileDescriptorProtos = reflectedDescriptors(files).map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
  );
  // A package definition of which reflection reads nothing but this.
  const contract = { contract: { fileDescriptorProtos } };
  type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService(contract as unknown as PackageDefinition).addToServer(server);
};

/** The files with all that they import, services included. */
const reflectedDescriptors = ({ protoDir, files }: ReflectedFiles): FileDescriptorProto[] => {
  const parsed = parseProtos(
    files.map((file) => join(protoDir, file)),
    readFromDisk,
  );
  const descriptors = descriptorSetOf(parsed).file;
  for (const { name, path, messages } of parsed.files) {
    const root = messages[0]?.root;
    const descriptor = descriptors.find((file) => file.name === name);
    if (root !== undefined) descriptor?.service.push(...servicesOf(root, path));
  }
  return descriptors;
};

const servicesOf = (scope: protobuf.NamespaceBase, path: string): ServiceDescriptorProto[] =>
  scope.nestedArray.flatMap((object) =>
    object instanceof protobuf.Service
      ? object.filename === path
        ? [serviceDescriptor(object)]
        : []
      : object instanceof protobuf.Namespace
        ? servicesOf(object, path)
        : [],
  );

const serviceDescriptor = (service: protobuf.Service): ServiceDescriptorProto =>
  create(ServiceDescriptorProtoSchema, {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      inputType: method.resolvedRequestType!.fullName,
      outputType: method.resolvedResponseType!.fullName,
      clientStreaming: method.requestStream === true,
      serverStreaming: method.responseStream === true,
    })),
  });
