import { connect, type Settings } from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  FeatureSet_FieldPresence,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { service as healthService } from "grpc-health-check";
import { afterEach, describe, expect, it } from "vitest";
import { HeldLog } from "./ingest/held-log.suite.ts";
import { fieldOf, fieldsOf, LabGateway } from "./ingest/lab-gateway.suite.ts";
import { HeldClock, labEvent } from "./ingest/lab-topic.suite.ts";
import { RECEIVE_WINDOW_BYTES } from "./receive-window.ts";
import { GatewayListenError, GatewayServer, type GatewayServerOptions } from "./server.ts";

const PROTO_DIR = fileURLToPath(new URL("../proto", import.meta.url));
const FILES = ["tidemark/v1/ingest.proto", "tidemark/v1/query.proto"];

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const listen = async (options: Partial<GatewayServerOptions> = {}): Promise<GatewayServer> => {
  const server = await GatewayServer.listen({
    host: "127.0.0.1",
    port: 0,
    services: [],
    maxRequestBytes: 1024,
    reflection: undefined,
    clock: new HeldClock(),
    ...options,
  });
  closing.push(() => server.shutdown(1000));
  return server;
};

describe("the gateway's server", () => {
  it("gives senders a wide window, on connections and streams (W1)", async () => {
    const server = await listen();
    const session = connect(`http://${server.address}`);
    closing.unshift(() => session.close());
    const settings = await new Promise<Settings>((resolve) =>
      session.once("remoteSettings", resolve),
    );
    expect(settings.initialWindowSize).toBe(RECEIVE_WINDOW_BYTES);
    expect(settings.maxConcurrentStreams).toBe(1024);
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => (error === null ? resolve() : reject(error)));
    });
    expect(session.state.remoteWindowSize).toBe(RECEIVE_WINDOW_BYTES);
  });

  it("says which port is in use", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    closing.push(() => holder.close());
    await new Promise((resolve) => holder.once("listening", resolve));
    const { port } = holder.address() as AddressInfo;

    const error: unknown = await listen({ port }).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(GatewayListenError);
    expect(error).toMatchObject({ host: "127.0.0.1", port, failure: "in-use" });
    expect((error as Error).message).toBe(
      `cannot listen on 127.0.0.1:${port}: the port is in use (set gateway.port to another, or to 0 for a free one)`,
    );
  });

  it("says that it does not have an address", async () => {
    await expect(listen({ host: "192.0.2.1" })).rejects.toThrow(
      "cannot listen on 192.0.2.1:0: this machine does not have that address",
    );
  });

  it("reports health as a whole and by service", async () => {
    const log = new HeldLog();
    const lab = await LabGateway.start({ log: log.service });
    closing.push(() => lab.close());
    const Health = makeGenericClientConstructor(healthService, "Health");
    const health = new Health(lab.server.address, credentials.createInsecure());
    closing.unshift(() => health.close());
    const check = (service: string): Promise<string> =>
      new Promise((resolve) => {
        health.Check({ service }, (error: Error | null, answer: { status: string }) =>
          resolve(error === null ? answer.status : error.message),
        );
      });
    expect(await check("")).toBe("SERVING");
    expect(await check("tidemark.v1.IngestService")).toBe("SERVING");
    lab.server.setServing(false, "tidemark.v1.IngestService");
    expect(await check("tidemark.v1.IngestService")).toBe("NOT_SERVING");
    expect(await check("")).toBe("SERVING");
    expect(await check("nothing")).toContain("NOT_FOUND");
  });
});

describe("reflection", () => {
  /** One ServerReflectionRequest; its answer as bytes. */
  const reflect = (address: string, field: number, value: string): Promise<Uint8Array> => {
    const client = new Client(address, credentials.createInsecure());
    closing.unshift(() => client.close());
    return new Promise((resolve, reject) => {
      const call = client.makeBidiStreamRequest(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
      );
      call.on("data", (answer: Buffer) => {
        resolve(answer);
        call.end();
      });
      call.on("error", reject);
      call.write(Buffer.from(new BinaryWriter().tag(field, 2).string(value).finish()));
    });
  };
  const LIST_SERVICES = 7;
  const FILE_CONTAINING_SYMBOL = 4;

  it("gives the contract to clients that know nothing of it", async () => {
    const { address } = await listen({ reflection: { protoDir: PROTO_DIR, files: FILES } });
    const listed = fieldOf(await reflect(address, LIST_SERVICES, "*"), 6);
    const names = fieldsOf(listed, 1).map((service) => Buffer.from(fieldOf(service, 1)).toString());
    expect(names).toEqual(["tidemark.v1.IngestService", "tidemark.v1.QueryService"]);

    const symbol = "tidemark.v1.IngestService";
    const found = fieldOf(await reflect(address, FILE_CONTAINING_SYMBOL, symbol), 4);
    const file = fieldsOf(found, 1).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    expect(file.map(({ name }) => name)).toEqual([
      "tidemark/v1/ingest.proto",
      "tidemark/v1/event.proto",
    ]);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.reverse() }));
    const stream = registry.getService("tidemark.v1.IngestService")!.method.publishStream;
    expect(stream.methodKind).toBe("bidi_streaming");
    const event = registry.getMessage("tidemark.v1.Event")!;
    expect(event.field.eventTime.presence).toBe(FeatureSet_FieldPresence.EXPLICIT);
    expect(event.field.json.oneof?.name).toBe("data");
  });

  it("can be turned off", async () => {
    const { address } = await listen();
    await expect(reflect(address, LIST_SERVICES, "*")).rejects.toThrow("UNIMPLEMENTED");
  });
});

describe("shutdown", () => {
  it("answers what is under way, then takes no more (G3)", async () => {
    const log = new HeldLog();
    const lab = await LabGateway.start({ log: log.service });
    const answer = lab.publish({ topic: "lab", event: labEvent() });
    const stream = lab.publishStream();
    stream.send({ topic: "other", events: [labEvent()] });
    await log.arrived(2);
    const down = lab.server.shutdown(60_000);
    while (log.waiting.length > 0) await log.waiting[0].acknowledge();
    expect(await down).toBe("drained");
    expect((await answer).response!.id).toBe("id-1");
    expect(stream.responses).toHaveLength(1);
    expect((await stream.status).details).toContain("shutting down");
    const late = await lab.publish({ topic: "lab", event: labEvent() });
    expect(late.error!.details).toContain("ECONNREFUSED");
    lab.client.close();
    expect(lab.clock.timers.size).toBe(0);
  });

  it("waits no longer than its bound", async () => {
    const log = new HeldLog();
    const lab = await LabGateway.start({ log: log.service });
    const answer = lab.publish({ topic: "lab", event: labEvent() });
    await log.arrived();
    const down = lab.server.shutdown(5000);
    for (const fire of lab.clock.timers) fire();
    expect(await down).toBe("forced");
    expect((await answer).error).toBeDefined();
    lab.client.close();
    await log.waiting[0].acknowledge();
  });
});
