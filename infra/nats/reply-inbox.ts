/**
 * One subscription for the answers to everything that this connection sends: no subscription, promise
 * or timer of the client for each request.
 *
 * I1. Each `ask` is settled exactly once: by its answer, its timeout, or the loss of the connection;
 *     or it was cancelled, and then never.
 * I2. `settle` is never called within `ask`.
 * I3. An answer to a request that was given up is dropped.
 */
import type { Msg } from "nats";
import type { CancelTimer, Ticker } from "./ticker.ts";

/** Why there is no answer. Only `no responders` says that nobody has received the request. */
export type LostReason = "timeout" | "disconnected" | "no responders" | "closed";

export type Reply =
  | { readonly kind: "data"; readonly data: Uint8Array }
  | { readonly kind: "lost"; readonly reason: LostReason };

interface Pending {
  readonly settle: (reply: Reply) => void;
  readonly cancelTimer: CancelTimer;
}

const noResponders: Reply = { kind: "lost", reason: "no responders" };

export class ReplyInbox {
  readonly #prefix: string;
  readonly #ticker: Ticker;
  readonly #pending = new Map<string, Pending>();
  #next = 0;

  /** `prefix` ends with a dot; the owner subscribes `receive` to everything below it. */
  constructor(prefix: string, ticker: Ticker) {
    this.#prefix = prefix;
    this.#ticker = ticker;
  }

  /** The reply subject for one request. */
  expect(timeoutMs: number, settle: (reply: Reply) => void): { subject: string; token: string } {
    const token = (this.#next++).toString(36);
    const cancelTimer = this.#ticker.after(timeoutMs, () =>
      this.settle(token, { kind: "lost", reason: "timeout" }),
    );
    this.#pending.set(token, { settle, cancelTimer });
    return { subject: this.#prefix + token, token };
  }

  readonly receive = (error: Error | null, message: Msg): void => {
    if (error !== null) return;
    const token = message.subject.slice(this.#prefix.length);
    const empty = message.data.length === 0 && message.headers?.code === 503;
    this.settle(token, empty ? noResponders : { kind: "data", data: message.data });
  };

  settle(token: string, reply: Reply): void {
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    this.cancel(token);
    pending.settle(reply);
  }

  cancel(token: string): void {
    this.#pending.get(token)?.cancelTimer();
    this.#pending.delete(token);
  }

  /** Settles all that is pending, in the order in which it was asked. */
  loseAll(reason: LostReason): void {
    // What asks again when it hears of its loss is not lost with these.
    const lost = Array.from(this.#pending.keys());
    for (const token of lost) this.settle(token, { kind: "lost", reason });
  }
}
