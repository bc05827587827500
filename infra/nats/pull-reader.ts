/**
 * A reader of a stream that outlives connections, servers and consumers: whatever breaks, it goes on
 * behind the last message that it has.
 *
 * P1. Messages are handed out in stream order, each once.
 * P2. With `contiguous`, a sequence that is not the next one is a LogGap, for good. An ordered consumer
 *     of JetStream would jump over deleted history without a word. A compacted log has holes: there, only an
 *     end before what was read is one. That none of what is there is left out, the consumer sees to (D1).
 * P3. What has arrived is bounded in bytes; the server sends no more until it is taken.
 * P4. Interrupting `next` loses nothing.
 */
import { Effect, Exit, Latch } from "effect";
import type { Scope } from "effect";
import { nuid } from "nats";
import type { ConsumerConfig } from "nats";
import { LogGap, LogUnavailable } from "../../actors/ports/event-log.ts";
import { request, streamInfo, unavailable } from "./jetstream-api.ts";
import type { Link } from "./link.ts";
import { PullConsumer } from "./pull-consumer.ts";
import type { Delivery } from "./pull-consumer.ts";

export interface PullSource {
  readonly stream: string;
  /** All subjects when empty. */
  readonly filters: readonly string[];
  readonly fromSequence: number;
  /** Whether every sequence must come (P2). `compacted`: but for those that were deleted on purpose. */
  readonly contiguous: boolean | "compacted";
}

const reattachDelayMinMs = 50;
const reattachDelayMaxMs = 2_000;
/** How long `next` waits without a working consumer before it says so. */
const unavailableAfterMs = 30_000;
/** The server drops a consumer that nobody has asked for so long. */
const inactiveNanoseconds = 60_000_000_000;

export class PullReader {
  readonly #link: Link;
  readonly #source: PullSource;
  readonly #broken = Latch.makeUnsafe(false);
  #buffer: Delivery[] = [];
  #bufferedBytes = 0;
  #expected: number;
  #consumer: PullConsumer | undefined;
  #failure: LogGap | undefined;
  #problem = "";
  #waiter: (() => void) | undefined;

  constructor(link: Link, source: PullSource) {
    this.#link = link;
    this.#source = source;
    this.#expected = source.fromSequence;
  }

  readonly next: Effect.Effect<readonly Delivery[], LogUnavailable | LogGap> = Effect.suspend(
    () => {
      if (this.#buffer.length > 0) return Effect.succeed(this.#take());
      if (this.#failure !== undefined) return Effect.fail(this.#failure);
      return this.#wait;
    },
  );

  readonly #wait: Effect.Effect<readonly Delivery[], LogUnavailable | LogGap> = Effect.suspend(() =>
    Effect.flatMap(this.#arrival, (timedOut) =>
      timedOut && this.#consumer === undefined
        ? Effect.fail(this.#unavailable(this.#problem))
        : this.next,
    ),
  );

  /** Something to take, or a failure to tell, may be there; true when nothing came for long. */
  readonly #arrival = Effect.callback<boolean>((resume) => {
    const cancelTimer = this.#link.ticker.after(unavailableAfterMs, () => {
      this.#waiter = undefined;
      resume(Effect.succeed(true));
    });
    const waiter = () => {
      cancelTimer();
      resume(Effect.succeed(false));
    };
    this.#waiter = waiter;
    return Effect.sync(() => {
      cancelTimer();
      if (this.#waiter === waiter) this.#waiter = undefined;
    });
  });

  /** Makes a consumer behind the last message that has arrived. */
  readonly attach: Effect.Effect<void, LogUnavailable | LogGap> = Effect.gen(
    { self: this },
    function* () {
      const { stream, filters, contiguous } = this.#source;
      yield* this.#link.whenConnected;
      const { state } = yield* streamInfo(this.#link, stream).pipe(
        Effect.mapError(unavailable(stream)),
      );
      // Behind the end the server would wait for the sequence and skip all that comes before it.
      const behind = this.#expected > state.last_seq + 1;
      if (contiguous) {
        const first = state.messages === 0 ? state.last_seq + 1 : state.first_seq;
        if (behind) return yield* this.#fail(state.last_seq);
        if (contiguous === true && first > this.#expected) return yield* this.#fail(first);
      } else if (behind) {
        return yield* this.#unavailable(
          `${stream} was to be read from sequence ${this.#expected} but ends at ${state.last_seq}: ` +
            `it is not the stream that was read before`,
        );
      }
      const consumer = nuid.next();
      const pull = new PullConsumer(
        this.#link,
        { stream, consumer },
        { deliver: this.#deliver, broken: this.#break, bufferedBytes: () => this.#bufferedBytes },
      );
      yield* request(this.#link, `$JS.API.CONSUMER.CREATE.${stream}.${consumer}`, {
        stream_name: stream,
        config: this.#config(consumer, filters),
      }).pipe(Effect.mapError(unavailable(stream)));
      this.#broken.closeUnsafe();
      this.#consumer = pull;
      pull.start();
    },
  );

  /** Replaces a broken consumer, until interrupted or until there is nothing to go on with (P2). */
  readonly stayAttached: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    let delayMs = reattachDelayMinMs;
    const stopListening = this.#link.onChange((connected) => {
      if (!connected) this.#disconnected();
    });
    if (!this.#link.isConnected) this.#disconnected();
    yield* Effect.gen({ self: this }, function* () {
      while (this.#failure === undefined) {
        yield* this.#broken.await;
        if (this.#failure !== undefined) return;
        const attached = yield* Effect.result(this.attach);
        if (attached._tag === "Success") {
          delayMs = reattachDelayMinMs;
          continue;
        }
        if (attached.failure._tag === "LogGap") return;
        this.#problem = attached.failure.message;
        yield* Effect.sleep(delayMs);
        delayMs = Math.min(reattachDelayMaxMs, delayMs * 2);
      }
    }).pipe(Effect.ensuring(Effect.sync(stopListening)));
  });

  detach(): void {
    this.#consumer?.stop();
    this.#consumer = undefined;
  }

  #config(name: string, filters: readonly string[]): Partial<ConsumerConfig> {
    return {
      name,
      deliver_policy: "by_start_sequence" as ConsumerConfig["deliver_policy"],
      opt_start_seq: this.#expected,
      ack_policy: "none" as ConsumerConfig["ack_policy"],
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: inactiveNanoseconds,
      ...(filters.length === 0 ? {} : { filter_subjects: [...filters] }),
    };
  }

  #take(): readonly Delivery[] {
    const taken = this.#buffer;
    this.#buffer = [];
    this.#bufferedBytes = 0;
    this.#consumer?.refill();
    return taken;
  }

  readonly #deliver = (delivery: Delivery, bytes: number): void => {
    if (this.#failure !== undefined) return;
    const { sequence } = delivery;
    const isNext =
      this.#source.contiguous === true ? sequence === this.#expected : sequence >= this.#expected;
    if (!isNext) {
      this.#fail(sequence);
      this.detach();
      this.#broken.openUnsafe();
    } else {
      this.#expected = sequence + 1;
      this.#buffer.push(delivery);
      this.#bufferedBytes += bytes;
    }
    this.#wake();
  };

  readonly #break = (reason: string): void => {
    this.#problem = reason;
    this.#consumer = undefined;
    this.#broken.openUnsafe();
  };

  #disconnected(): void {
    this.detach();
    this.#break("disconnected");
  }

  #fail(found: number): LogGap {
    this.#failure = new LogGap({ stream: this.#source.stream, expected: this.#expected, found });
    this.#wake();
    return this.#failure;
  }

  #unavailable(message: string): LogUnavailable {
    return new LogUnavailable({ stream: this.#source.stream, message });
  }

  #wake(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    this.#waiter = undefined;
    // Resuming runs the reader's owner at once. Let the rest of what was read from the socket come
    // first, so that it is handed out together.
    queueMicrotask(waiter);
  }
}

/** A reader that lives until the scope closes. One that cannot be opened leaves nothing behind. */
export const openReader = Effect.fnUntraced(function* (
  link: Link,
  source: PullSource,
): Effect.fn.Return<PullReader, LogUnavailable | LogGap, Scope.Scope> {
  const reader = new PullReader(link, source);
  const leave = Effect.sync(() => {
    reader.detach();
    link.budget.leave();
  });
  yield* Effect.suspend(() => {
    link.budget.join();
    return reader.attach.pipe(
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.addFinalizer(() => leave) : leave)),
    );
  });
  yield* Effect.forkScoped(reader.stayAttached);
  return reader;
});
