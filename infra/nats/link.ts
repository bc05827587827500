/**
 * A connection as the adapters use it: what is connected, requests with counted answers, and how much
 * the server may send ahead.
 *
 * N1. After a disconnect every pending request is lost at once; none waits for its timeout.
 * N2. Callbacks never throw: an exception in one would end the client's read loop.
 */
import { Effect } from "effect";
import { createInbox } from "nats";
import type { Msg, MsgHdrs, NatsConnection, Subscription } from "nats";
import { DeliveryBudget } from "./delivery-budget.ts";
import { ReplyInbox } from "./reply-inbox.ts";
import type { Reply } from "./reply-inbox.ts";
import type { Ticker } from "./ticker.ts";

export class Link {
  readonly url: string;
  readonly serverVersion: string;
  readonly maxPayloadBytes: number;
  readonly ticker: Ticker;
  readonly budget = new DeliveryBudget();
  readonly #connection: NatsConnection;
  readonly #inbox: ReplyInbox;
  readonly #listeners = new Set<(connected: boolean) => void>();
  #connected = true;

  constructor(url: string, connection: NatsConnection, ticker: Ticker) {
    this.url = url;
    this.ticker = ticker;
    this.#connection = connection;
    this.serverVersion = connection.info?.version ?? "unknown";
    this.maxPayloadBytes = connection.info?.max_payload ?? 1024 * 1024;
    const prefix = `${createInbox()}.`;
    this.#inbox = new ReplyInbox(prefix, ticker);
    this.subscribe(`${prefix}*`, this.#inbox.receive);
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Told by the owner of the connection, who hears its status. */
  setConnected(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    if (!connected) this.#inbox.loseAll("disconnected");
    for (const listener of this.#listeners) listener(connected);
  }

  close(): void {
    this.#connected = false;
    this.#inbox.loseAll("closed");
  }

  /** The result takes the listener away. */
  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  readonly whenConnected: Effect.Effect<void> = Effect.suspend(() =>
    this.#connected
      ? Effect.void
      : Effect.callback<void>((resume) => {
          const remove = this.onChange((connected) => {
            if (!connected) return;
            remove();
            resume(Effect.void);
          });
          return Effect.sync(remove);
        }),
  );

  newInbox(): string {
    return createInbox();
  }

  subscribe(subject: string, callback: (error: Error | null, message: Msg) => void): Subscription {
    return this.#connection.subscribe(subject, { callback });
  }

  publish(subject: string, data: Uint8Array | string, headers?: MsgHdrs, reply?: string): void {
    if (this.#connection.isClosed() || this.#connection.isDraining()) return;
    this.#connection.publish(subject, data, {
      ...(headers === undefined ? {} : { headers }),
      ...(reply === undefined ? {} : { reply }),
    });
  }

  /** Sends a request; `settle` hears of it once (I1), unless the result is called first. */
  ask(
    request: { subject: string; data: Uint8Array | string; headers?: MsgHdrs },
    timeoutMs: number,
    settle: (reply: Reply) => void,
  ): () => void {
    const { subject, token } = this.#inbox.expect(timeoutMs, settle);
    if (this.#connected) {
      this.publish(request.subject, request.data, request.headers, subject);
    } else {
      queueMicrotask(() => this.#inbox.settle(token, { kind: "lost", reason: "disconnected" }));
    }
    return () => this.#inbox.cancel(token);
  }
}
