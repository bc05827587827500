/**
 * IngestLog on JetStream: the hot path of the gateway. No Effect, and per record batch one promise and
 * a few small objects.
 *
 * G1. `append` resolves only after the server has acknowledged these very bytes: retries go under one
 *     message id, so the server answers a repeat with the sequence of the first.
 * G2. It settles within its time limit, whatever NATS does; rejected means unknown, except for `full`,
 *     which is never stored.
 * G3. After a disconnect everything unanswered is sent again, in its order.
 */
import { Effect, Layer } from "effect";
import type { Scope } from "effect";
import { nuid } from "nats";
import type { MsgHdrs } from "nats";
import { AppendError, IngestLog } from "../../actors/ports/ingest-log.ts";
import type { AppendFailure } from "../../actors/ports/ingest-log.ts";
import { eventsStream, eventsSubject } from "../../proto/subjects.ts";
import { Connection } from "./connection.ts";
import { judge } from "./errors.ts";
import type { ApiError } from "./errors.ts";
import { headerBlock } from "./header-block.ts";
import { parseJson } from "./jetstream-api.ts";
import type { Link } from "./link.ts";
import type { Reply } from "./reply-inbox.ts";

export interface IngestOptions {
  /** How long one append is tried. It must stay well below the streams' duplicate window. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 10_000;
/** An answer that takes longer is not waited for; the batch is sent again. */
const attemptMs = 2_500;
const retryDelayMinMs = 25;
const retryDelayMaxMs = 500;
/** Room for the message id and what the server adds. */
const headerSlackBytes = 1_024;

/** What the server answers to a publish. */
export type PublishAnswer =
  { readonly seq: number; readonly error?: undefined } | { readonly error: ApiError };

interface Entry {
  readonly stream: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: Error) => void;
  /** Takes back what is under way: the answer that is awaited, or the next attempt. */
  cancel: () => void;
  retryDelayMs: number;
  problem: string;
}

/** The stream no longer ends where a conditional append expected it to. Nothing was stored. */
export class LogMovedOn extends Error {
  readonly _tag = "LogMovedOn";
}

export class Appender {
  readonly maxBytes: number;
  readonly #link: Link;
  readonly #timeoutMs: number;
  readonly #idPrefix = nuid.next();
  /** Waits for the connection, in order of sending. */
  readonly #parked = new Set<Entry>();
  readonly #stopListening: () => void;
  #nextId = 0;

  constructor(link: Link, options: IngestOptions = {}) {
    this.#link = link;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.maxBytes = link.maxPayloadBytes - headerSlackBytes;
    this.#stopListening = link.onChange((connected) => {
      if (connected) this.#sendParked();
    });
  }

  /** `last`: append only if this is the stream's last sequence, else reject with LogMovedOn. */
  readonly append = (
    topic: string,
    partition: number,
    data: Uint8Array,
    last?: number,
  ): Promise<number> => {
    const stream = eventsStream(topic, partition);
    if (data.length > this.maxBytes) {
      const error = new RangeError(
        `a record batch of ${data.length} bytes for ${stream} exceeds the ${this.maxBytes} allowed`,
      );
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        stream,
        subject: eventsSubject(topic, partition),
        data,
        // The server looks at the id first: a repeat of what is stored is acknowledged, not refused.
        headers: headerBlock([
          ["Nats-Msg-Id", `${this.#idPrefix}${this.#nextId++}`],
          ...(last === undefined ? [] : [["Nats-Expected-Last-Sequence", last] as const]),
        ]),
        resolve: (sequence) => {
          cancelTimer();
          resolve(sequence);
        },
        reject: (error) => {
          cancelTimer();
          reject(error);
        },
        cancel: () => {},
        retryDelayMs: retryDelayMinMs,
        problem: "no answer",
      };
      const cancelTimer = this.#link.ticker.after(this.#timeoutMs, () => this.#giveUp(entry));
      this.#send(entry);
    });
  };

  close(): void {
    this.#stopListening();
    for (const entry of this.#parked) {
      this.#fail(entry, { kind: "unavailable", message: `${entry.stream}: shutting down` });
    }
  }

  #send(entry: Entry): void {
    if (!this.#link.isConnected) {
      this.#park(entry);
      return;
    }
    entry.cancel = this.#link.ask(entry, attemptMs, (reply) => this.#settle(entry, reply));
  }

  #park(entry: Entry): void {
    entry.problem = "no connection";
    entry.cancel = () => {};
    this.#parked.add(entry);
  }

  #sendParked(): void {
    const entries = [...this.#parked];
    this.#parked.clear();
    for (const entry of entries) this.#send(entry);
  }

  #settle(entry: Entry, reply: Reply): void {
    if (reply.kind === "data") {
      this.#judge(entry, parseJson(reply.data) as PublishAnswer);
    } else if (reply.reason === "disconnected") {
      this.#park(entry);
    } else if (reply.reason === "closed") {
      this.#fail(entry, { kind: "unavailable", message: `${entry.stream}: shutting down` });
    } else {
      entry.problem = reply.reason === "timeout" ? "no answer" : "no stream or no leader for it";
      this.#sendLater(entry);
    }
  }

  #judge(entry: Entry, answer: PublishAnswer): void {
    if (answer.error === undefined) {
      entry.resolve(answer.seq);
      return;
    }
    const { description, err_code: code } = answer.error;
    const verdict = judge(answer.error);
    if (verdict === "conflict") {
      entry.reject(new LogMovedOn(`${entry.stream}: ${description}`));
    } else if (verdict === "full") {
      this.#fail(entry, { kind: "full", message: `${entry.stream} is full: ${description}` });
    } else if (verdict === "retry") {
      entry.problem = description;
      this.#sendLater(entry);
    } else {
      const message = `${entry.stream} refuses a record batch: ${description} (${code})`;
      this.#fail(entry, { kind: "unavailable", message });
    }
  }

  #sendLater(entry: Entry): void {
    const delayMs = entry.retryDelayMs;
    entry.retryDelayMs = Math.min(retryDelayMaxMs, delayMs * 2);
    entry.cancel = this.#link.ticker.after(delayMs, () => this.#send(entry));
  }

  #giveUp(entry: Entry): void {
    entry.cancel();
    const message =
      `${entry.stream} did not acknowledge within ${this.#timeoutMs} ms (${entry.problem}); ` +
      `the record batch may or may not be stored`;
    this.#fail(entry, { kind: "unavailable", message });
  }

  #fail(entry: Entry, failure: AppendFailure): void {
    this.#parked.delete(entry);
    entry.reject(new AppendError(failure));
  }
}

export const makeAppender = (
  link: Link,
  options?: IngestOptions,
): Effect.Effect<Appender, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Appender(link, options)),
    (appender) => Effect.sync(() => appender.close()),
  );

export const natsIngestLog = (options?: IngestOptions): Layer.Layer<IngestLog, never, Connection> =>
  Layer.effect(
    IngestLog,
    Effect.gen(function* () {
      const appender = yield* makeAppender(yield* Connection, options);
      const append = (topic: string, partition: number, data: Uint8Array) =>
        appender.append(topic, partition, data);
      return IngestLog.of({ append, maxBytes: appender.maxBytes });
    }),
  );
