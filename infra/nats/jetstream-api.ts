/**
 * Requests to JetStream's API, which is JSON over request and reply. All that is asked here may be
 * asked twice, so an answer that got lost is asked for again until time is up.
 */
import { Effect, Schema } from "effect";
import type { ConsumerConfig, StreamConfig, StreamInfo } from "nats";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { JS, judge } from "./errors.ts";
import type { ApiError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Reply } from "./reply-inbox.ts";

/** No usable answer: refused with JetStream's code, or none at all (code 0). */
export class ApiFailure extends Schema.TaggedError<ApiFailure>()("ApiFailure", {
  code: Schema.Number,
  description: Schema.String,
}) {
  override get message(): string {
    return this.code === 0 ? this.description : `${this.description} (${this.code})`;
  }
}

export interface RequestOptions {
  /** Bound of all attempts together. */
  readonly withinMs?: number;
}

const defaultWithinMs = 10_000;
const attemptMs = 3_000;
const pauseMs = 50;

const latin1 = (data: Uint8Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");

/** JSON from the server; what is not ASCII in it does not matter to us. */
export const parseJson = (data: Uint8Array): unknown => JSON.parse(latin1(data));

/** One attempt; interrupting it forgets the answer. */
const askOnce = (link: Link, subject: string, body: string): Effect.Effect<Reply> =>
  Effect.callback<Reply>((resume) => {
    const cancel = link.ask({ subject, data: body }, attemptMs, (reply) =>
      resume(Effect.succeed(reply)),
    );
    return Effect.sync(cancel);
  });

export const request = <A>(
  link: Link,
  subject: string,
  body: unknown,
  options: RequestOptions = {},
): Effect.Effect<A, ApiFailure> => {
  const withinMs = options.withinMs ?? defaultWithinMs;
  const encoded = body === undefined ? "" : JSON.stringify(body);
  let problem = "no connection";
  return Effect.gen(function* () {
    for (;;) {
      yield* link.whenConnected;
      const reply = yield* askOnce(link, subject, encoded);
      if (reply.kind === "data") {
        const answer = parseJson(reply.data) as { readonly error?: ApiError };
        if (answer.error === undefined) return answer as A;
        const { err_code: code, description } = answer.error;
        if (judge(answer.error) !== "retry") return yield* new ApiFailure({ code, description });
        problem = description;
      } else {
        problem = reply.reason;
      }
      yield* Effect.sleep(pauseMs);
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: withinMs,
      orElse: () =>
        Effect.fail(
          new ApiFailure({ code: 0, description: `no answer in ${withinMs} ms (${problem})` }),
        ),
    }),
  );
};

/** Turns a failed request about a stream into what the ports say. */
export const unavailable =
  (stream: string) =>
  (failure: ApiFailure): LogUnavailable =>
    new LogUnavailable({ stream, message: `${stream}: ${failure.message}` });

export const streamInfo = (
  link: Link,
  stream: string,
  options?: RequestOptions,
): Effect.Effect<StreamInfo, ApiFailure> =>
  request(link, `$JS.API.STREAM.INFO.${stream}`, undefined, options);

/** Deletes what lies below `seq`, of one subject when `filter` is given. */
export const purge = (
  link: Link,
  stream: string,
  what: { readonly seq: number; readonly filter?: string },
): Effect.Effect<{ readonly purged: number }, ApiFailure> =>
  request(link, `$JS.API.STREAM.PURGE.${stream}`, what);

/** Deletes one message, its bytes on the disk not overwritten; one that is gone already is no error. */
export const deleteMessage = (
  link: Link,
  stream: string,
  seq: number,
): Effect.Effect<void, LogUnavailable> =>
  request(link, `$JS.API.STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true }).pipe(
    Effect.catchIf(
      // Before the stream's first message one code stands for all that can fail; only its text tells which.
      ({ code, description }) =>
        code === JS.sequenceNotFound ||
        (code === JS.deleteFailed && /no message found/i.test(description)),
      () => Effect.void,
    ),
    Effect.mapError(unavailable(stream)),
    Effect.asVoid,
  );

export type { ConsumerConfig, StreamConfig, StreamInfo };

export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  /** The header block as it was sent, empty when there is none. */
  readonly headers: string;
  readonly data: Uint8Array;
}

interface MessageAnswer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly hdrs?: string;
    readonly data?: string;
  };
}

/**
 * One message, read from the stream's leader: never an older state than what was acknowledged. A batch
 * that is being committed is seen whole or not at all.
 */
export const storedMessage = (
  link: Link,
  stream: string,
  which:
    | { readonly seq: number }
    | { readonly last_by_subj: string }
    | { readonly next_by_subj: string; readonly start_time: string }
    | { readonly next_by_subj: string; readonly seq: number },
  options?: RequestOptions,
): Effect.Effect<StoredMessage | undefined, ApiFailure> =>
  request<MessageAnswer>(link, `$JS.API.STREAM.MSG.GET.${stream}`, which, options).pipe(
    Effect.map(({ message }) => ({
      subject: message.subject,
      seq: message.seq,
      headers: Buffer.from(message.hdrs ?? "", "base64").toString("latin1"),
      data: Buffer.from(message.data ?? "", "base64"),
    })),
    Effect.catchTag("ApiFailure", (failure) =>
      failure.code === JS.messageNotFound ? Effect.undefined : Effect.fail(failure),
    ),
  );
