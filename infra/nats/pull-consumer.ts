/**
 * The life of one server-side consumer: asks for messages in bounded portions and hands them on in
 * order. It is thrown away at the first doubt and replaced by its owner; it never repairs itself.
 *
 * D1. Deliveries carry a number of their own from the server. A missing one breaks the consumer before
 *     anything behind it is handed on.
 * D2. Under way are at most two requests, each bounded in messages and bytes; a third is made only when
 *     the owner has taken enough of what arrived.
 * D3. While a request is open the server gives a sign of life every few seconds; without it the
 *     consumer is broken.
 */
import type { Msg, Subscription } from "nats";
import type { Link } from "./link.ts";
import type { CancelTimer } from "./ticker.ts";

export interface Delivery {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Messages after this one that match and were in the stream when it was sent. */
  readonly pending: number;
}

export interface PullOwner {
  readonly deliver: (delivery: Delivery, bytes: number) => void;
  /** Called once; nothing is delivered afterwards. */
  readonly broken: (reason: string) => void;
  readonly bufferedBytes: () => number;
}

export interface PullTarget {
  readonly stream: string;
  readonly consumer: string;
}

const requestMessagesMax = 512;
const heartbeatMs = 3_000;
const heartbeatsMissedMax = 3;
const expiresMs = 30_000;
/** Room for headers (64 KiB at the most) and subjects beside the greatest payload. */
const oversizeSlackBytes = 96 * 1024;
const nanosecondsPerMs = 1_000_000;

/** The server's answers that end one request and mean no harm. */
const requestEnded =
  /batch completed|message size exceeds maxbytes|request timeout|interest expired/i;
const tooLarge = /message size exceeds maxbytes/i;

/** The client counts as the server does, but hides it from its types. */
const sizeOf = (message: Msg): number => (message as Msg & { size(): number }).size();

/** One request at a time, on a subject of its own, so that each delivery is known to be its. */
interface Slot {
  readonly index: number;
  subscription: Subscription | undefined;
  open: boolean;
  number: number;
  messagesLeft: number;
  bytesLeft: number;
  delivered: number;
}

export class PullConsumer {
  readonly #link: Link;
  readonly #target: PullTarget;
  readonly #owner: PullOwner;
  readonly #inbox: string;
  readonly #slots: readonly Slot[];
  #alive = true;
  #oversize = false;
  #delivered = 0;
  #quiet = 0;
  #cancelHeartbeat: CancelTimer = () => {};

  constructor(link: Link, target: PullTarget, owner: PullOwner) {
    this.#link = link;
    this.#target = target;
    this.#owner = owner;
    this.#inbox = link.newInbox();
    this.#slots = [0, 1].map((index) => ({
      index,
      subscription: undefined,
      open: false,
      number: 0,
      messagesLeft: 0,
      bytesLeft: 0,
      delivered: 0,
    }));
  }

  /** The consumer exists on the server: begin. */
  start(): void {
    for (const slot of this.#slots) {
      slot.subscription = this.#link.subscribe(
        `${this.#inbox}.${slot.index}.*`,
        (error, message) => {
          if (error === null) this.#receive(slot, message);
          else this.#break(error.message);
        },
      );
    }
    this.#watchHeartbeat();
    this.refill();
  }

  /** Asks for more where the bounds allow it. */
  refill(): void {
    if (!this.#alive) return;
    const window = this.#link.budget.windowBytes;
    for (const slot of this.#slots) {
      if (!slot.open && this.#owner.bufferedBytes() <= window) this.#request(slot, window / 2);
    }
  }

  stop(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#cancelHeartbeat();
    for (const slot of this.#slots) slot.subscription?.unsubscribe();
    // Only a courtesy: the server forgets an unused consumer by itself.
    const { stream, consumer } = this.#target;
    if (this.#link.isConnected)
      this.#link.publish(`$JS.API.CONSUMER.DELETE.${stream}.${consumer}`, "");
  }

  #request(slot: Slot, bytes: number): void {
    // One message that exceeds the usual bound is asked for alone, without a bound but the server's.
    const oversize = this.#oversize;
    this.#oversize = false;
    slot.open = true;
    slot.number += 1;
    slot.delivered = 0;
    slot.messagesLeft = oversize ? 1 : requestMessagesMax;
    slot.bytesLeft = oversize ? this.#link.maxPayloadBytes + oversizeSlackBytes : Math.floor(bytes);
    const { stream, consumer } = this.#target;
    this.#link.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      JSON.stringify({
        batch: slot.messagesLeft,
        max_bytes: slot.bytesLeft,
        expires: expiresMs * nanosecondsPerMs,
        idle_heartbeat: heartbeatMs * nanosecondsPerMs,
      }),
      undefined,
      `${this.#inbox}.${slot.index}.${slot.number}`,
    );
  }

  #receive(slot: Slot, message: Msg): void {
    if (!this.#alive) return;
    this.#quiet = 0;
    // What the server says of a request comes under the request's own subject, messages under theirs.
    if (message.subject.startsWith(this.#inbox)) this.#receiveStatus(slot, message);
    else this.#receiveMessage(slot, message);
  }

  #receiveStatus(slot: Slot, message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? "";
    if (code === 100) return;
    if ((code !== 408 && code !== 409) || !requestEnded.test(description)) {
      this.#break(`${code} ${description}`);
      return;
    }
    if (message.subject !== `${this.#inbox}.${slot.index}.${slot.number}`) return;
    if (tooLarge.test(description) && slot.delivered === 0) this.#oversize = true;
    slot.open = false;
    this.refill();
  }

  #receiveMessage(slot: Slot, message: Msg): void {
    // $JS.ACK.<stream>.<consumer>.<times>.<sequence>.<number>.<time>.<pending>, and in another form
    // two tokens more in front and one behind.
    const tokens = message.reply?.split(".") ?? [];
    const shift = tokens.length > 9 ? 2 : 0;
    const sequence = Number(tokens[5 + shift]);
    const number = Number(tokens[6 + shift]);
    const pending = Number(tokens[8 + shift]);
    if (!(sequence > 0 && pending >= 0)) {
      this.#break(`a message came with an unknown reply subject: ${message.reply}`);
      return;
    }
    if (number !== this.#delivered + 1) {
      this.#break(`delivery ${number} came after ${this.#delivered}`);
      return;
    }
    this.#delivered = number;
    slot.messagesLeft -= 1;
    slot.bytesLeft -= sizeOf(message);
    slot.delivered += 1;
    // A request whose bytes are used up exactly ends without a word.
    if (slot.bytesLeft <= 0) slot.open = false;
    const { subject, data } = message;
    this.#owner.deliver({ sequence, subject, data, pending }, data.length);
    if (!slot.open) this.refill();
  }

  #watchHeartbeat(): void {
    this.#cancelHeartbeat = this.#link.ticker.after(heartbeatMs, () => {
      if (this.#slots.some((slot) => slot.open)) this.#quiet += 1;
      if (this.#quiet > heartbeatsMissedMax) this.#break("the server gave no sign of life");
      else this.#watchHeartbeat();
    });
  }

  #break(reason: string): void {
    if (!this.#alive) return;
    this.stop();
    this.#owner.broken(reason);
  }
}
