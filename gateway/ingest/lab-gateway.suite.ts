/** A gateway on a free loopback port with the lab topics, and a client for it. */
import {
  type ClientDuplexStream,
  credentials,
  type Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  IngestServiceClient,
  PublishBatchRequest,
  PublishBatchResponse,
  PublishRequest,
  PublishResponse,
  PublishStreamRequest,
  PublishStreamResponse,
} from "../../proto/gen/tidemark/v1/ingest.ts";
import { GatewayServer } from "../server.ts";
import { type IngestOptions, IngestService } from "./ingest-service.ts";
import { HeldClock, labTopic } from "./lab-topic.suite.ts";
import type { AppendOutcome, RequestOutcome } from "./metrics.ts";

const PATH = "/tidemark.v1.IngestService";

export interface Answered<Response> {
  readonly response?: Response;
  readonly error?: ServiceError;
}

export class LabGateway {
  readonly clock = new HeldClock();
  readonly answered: RequestOutcome[] = [];
  readonly refused: string[] = [];
  readonly appended: AppendOutcome[] = [];
  readonly service: IngestService;
  server!: GatewayServer;
  client!: IngestServiceClient;

  private constructor(options: Partial<IngestOptions> & Pick<IngestOptions, "log">) {
    this.service = new IngestService({
      topics: [labTopic(), labTopic(1, "other")],
      clock: this.clock,
      metrics: {
        answered: (outcome) => this.answered.push(outcome),
        refused: (method, reason) => this.refused.push(`${method} ${reason}`),
        appended: (outcome) => this.appended.push(outcome),
      },
      ...options,
      limits: { ...LIMITS, ...options.limits },
    });
  }

  static async start(
    options: Partial<IngestOptions> & Pick<IngestOptions, "log">,
  ): Promise<LabGateway> {
    const gateway = new LabGateway(options);
    gateway.server = await GatewayServer.listen({
      host: "127.0.0.1",
      port: 0,
      services: [gateway.service],
      maxRequestBytes: gateway.service.limits.maxRequestBytes,
      reflection: undefined,
      clock: gateway.clock,
    });
    gateway.client = new IngestServiceClient(
      `127.0.0.1:${gateway.server.port}`,
      credentials.createInsecure(),
      { "grpc.enable_retries": 0 },
    );
    return gateway;
  }

  async close(): Promise<void> {
    this.client.close();
    const closing = this.server.shutdown(60_000);
    // A test that failed half-way left calls open that nothing will answer.
    if (this.service.open > 0) for (const fire of this.clock.timers) fire();
    await closing;
  }

  publish(request: PublishRequest | Buffer): Promise<Answered<PublishResponse>> {
    const bytes = Buffer.isBuffer(request) ? request : encode(PublishRequest, request);
    return this.#unary("Publish", bytes, (data) => PublishResponse.decode(data));
  }

  publishBatch(request: PublishBatchRequest | Buffer): Promise<Answered<PublishBatchResponse>> {
    const bytes = Buffer.isBuffer(request) ? request : encode(PublishBatchRequest, request);
    return this.#unary("PublishBatch", bytes, (data) => PublishBatchResponse.decode(data));
  }

  publishStream(): LabStream {
    return new LabStream(
      this.client.makeBidiStreamRequest(
        `${PATH}/PublishStream`,
        (bytes: Buffer) => bytes,
        (data: Buffer) => PublishStreamResponse.decode(data),
      ),
    );
  }

  #unary<Response>(
    method: string,
    bytes: Buffer,
    decode: (data: Buffer) => Response,
  ): Promise<Answered<Response>> {
    return new Promise((resolve) => {
      this.client.makeUnaryRequest(
        `${PATH}/${method}`,
        (request: Buffer) => request,
        decode,
        bytes,
        (error, response) => resolve(error === null ? { response: response! } : { error }),
      );
    });
  }
}

const LIMITS = { maxEventBytes: 4096, maxBatchEvents: 100, maxRequestBytes: 64 * 1024 };

const encode = <Message>(
  type: { readonly encode: (message: Message) => { readonly finish: () => Uint8Array } },
  message: Message,
): Buffer => Buffer.from(type.encode(message).finish());

/** A PublishStream call whose responses a test takes one by one. */
export class LabStream {
  readonly call: ClientDuplexStream<Buffer, PublishStreamResponse>;
  readonly responses: PublishStreamResponse[] = [];
  readonly status: Promise<StatusObject>;
  #arrived: (() => void)[] = [];

  constructor(call: ClientDuplexStream<Buffer, PublishStreamResponse>) {
    this.call = call;
    this.status = new Promise((resolve) => call.on("status", resolve));
    call.on("error", () => {});
    call.on("data", (response: PublishStreamResponse) => {
      this.responses.push(response);
      for (const arrived of this.#arrived.splice(0)) arrived();
    });
  }

  send(request: PublishStreamRequest | Buffer): void {
    this.call.write(Buffer.isBuffer(request) ? request : encode(PublishStreamRequest, request));
  }

  async received(count: number): Promise<PublishStreamResponse[]> {
    while (this.responses.length < count) {
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
    }
    return this.responses;
  }
}

/** Type and decoded text fields of the one detail in grpc-status-details-bin. */
export const detailOf = (metadata: Metadata): { type: string; detail: Uint8Array } => {
  const [bytes] = metadata.get("grpc-status-details-bin");
  const any = fieldOf(bytes as Buffer, 3);
  return { type: Buffer.from(fieldOf(any, 1)).toString(), detail: fieldOf(any, 2) };
};

/** The length-delimited fields of that number. */
export const fieldsOf = (message: Uint8Array, number: number): Uint8Array[] => {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === number && wire === 2) found.push(reader.bytes());
    else reader.skip(wire);
  }
  return found;
};

/** The last of them; empty if there is none. */
export const fieldOf = (message: Uint8Array, number: number): Uint8Array =>
  fieldsOf(message, number).at(-1) ?? new Uint8Array();
