/** The gateway's services as promises and async iterables, with errors in the words of the CLI. */
import { Metadata, credentials, type CallOptions, type ServiceError } from "@grpc/grpc-js";
import {
  IngestServiceClient,
  type PublishBatchRequest,
  type PublishBatchResponse,
} from "../../proto/gen/tidemark/v1/ingest.ts";
import {
  QueryServiceClient,
  type GetResultRequest,
  type GetResultResponse,
  type ListResultsRequest,
  type ListResultsResponse,
  type ProjectionStatus,
  type SubscribeRequest,
  type SubscribeResponse,
} from "../../proto/gen/tidemark/v1/query.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { fromServiceError } from "./cli-error.ts";

export const PAGE_SIZE_MAX = 10_000;
const CALL_MS = 30_000;

const OPTIONS = {
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  "grpc.max_send_message_length": 64 * 1024 * 1024,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
} as const;

const NONE = new Metadata();

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

export class GatewayClient {
  readonly address: string;
  readonly #ingest: IngestServiceClient;
  readonly #query: QueryServiceClient;

  constructor(address: string) {
    this.address = address;
    this.#ingest = new IngestServiceClient(address, credentials.createInsecure(), OPTIONS);
    this.#query = new QueryServiceClient(address, credentials.createInsecure(), OPTIONS);
  }

  close(): void {
    this.#ingest.close();
    this.#query.close();
  }

  publishBatch(request: PublishBatchRequest): Promise<PublishBatchResponse> {
    return this.#unary((options, callback) =>
      this.#ingest.publishBatch(request, NONE, options, callback),
    );
  }

  async getResult(request: GetResultRequest): Promise<Result> {
    const { result } = await this.#unary<GetResultResponse>((options, callback) =>
      this.#query.getResult(request, NONE, options, callback),
    );
    return result!;
  }

  listResultsPage(request: ListResultsRequest): Promise<ListResultsResponse> {
    return this.#unary((options, callback) =>
      this.#query.listResults(request, NONE, options, callback),
    );
  }

  /** All results, page after page; the next page is asked for while this one is read. */
  async *listResults(
    request: Omit<ListResultsRequest, "pageToken" | "pageSize">,
    pageSize = PAGE_SIZE_MAX,
  ): AsyncGenerator<Result> {
    const page = (pageToken: string) => this.listResultsPage({ ...request, pageSize, pageToken });
    let next: Promise<ListResultsResponse> | undefined = page("");
    while (next !== undefined) {
      const { results, nextPageToken }: ListResultsResponse = await next;
      next = nextPageToken === "" ? undefined : page(nextPageToken);
      // Whoever stops reading early must not leave a rejection that nobody handles.
      next?.catch(() => undefined);
      yield* results;
    }
  }

  async listProjections(): Promise<readonly ProjectionStatus[]> {
    const { projections } = await this.#unary<{ projections: ProjectionStatus[] }>(
      (options, callback) => this.#query.listProjections({}, NONE, options, callback),
    );
    return projections;
  }

  /** Ends, or throws what the gateway ended it with; cancelled when `signal` is. */
  async *subscribe(
    request: SubscribeRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<SubscribeResponse> {
    const stream = this.#query.subscribe(request);
    const cancel = () => stream.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const response of stream) yield response as SubscribeResponse;
    } catch (error) {
      if (signal?.aborted === true) return;
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
      stream.cancel();
    }
  }

  #unary<Response>(
    call: (options: CallOptions, callback: Callback<Response>) => unknown,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      call({ deadline: Date.now() + CALL_MS }, (error, response) => {
        if (error === null) resolve(response);
        else reject(fromServiceError(error, this.address));
      });
    });
  }
}
