/**
 * Coarse timers for hot paths: one wake-up for all of them, not a timer each.
 *
 * Time is counted in ticks. When the event loop was blocked, what waits in the socket is read before
 * a timeout can fire: a tick is one tick, however late it comes.
 */
import { Effect } from "effect";
import type { Scope } from "effect";

export const tickMs = 25;

interface Timer {
  readonly due: number;
  readonly fire: () => void;
}

/** Takes the timer back; does nothing after it has fired. */
export type CancelTimer = () => void;

export class Ticker {
  readonly #timers = new Map<number, Timer>();
  #now = 0;
  #next = 0;

  /** Calls back once, after at least `ms`. */
  after(ms: number, fire: () => void): CancelTimer {
    const id = this.#next++;
    // The tick that is under way does not count.
    this.#timers.set(id, { due: this.#now + Math.ceil(ms / tickMs) + 1, fire });
    return () => this.#timers.delete(id);
  }

  tick(): void {
    this.#now += 1;
    if (this.#timers.size === 0) return;
    for (const [id, timer] of this.#timers) {
      if (timer.due > this.#now) continue;
      this.#timers.delete(id);
      timer.fire();
    }
  }
}

/** A ticker that ticks until the scope closes. */
export const makeTicker: Effect.Effect<Ticker, never, Scope.Scope> = Effect.gen(function* () {
  const ticker = new Ticker();
  yield* Effect.sleep(tickMs).pipe(
    Effect.andThen(Effect.sync(() => ticker.tick())),
    Effect.forever,
    Effect.forkScoped,
  );
  return ticker;
});
