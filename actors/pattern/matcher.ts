/**
 * Runs the automaton of a pattern over the events of one key, in their order.
 *
 * M1. Every event can start a match. A match is emitted when it is complete; under a skip strategy also
 *     no partial match may have started earlier (S2).
 * M2. What is emitted at one time is in the order of `compareTaken`, with a skip strategy by start first:
 *     it does not depend on the order in which partial matches are kept.
 * M3. `within` is over when it is exactly so long since the first event: an event of that time is no more
 *     part of the match. The caller calls `expire` before.
 * M4. A turn that throws has changed nothing: neither the limits here nor the caller's `emit` leave a
 *     state half done.
 */
import type { SkipDefinition } from "../../projections/definition/pattern-definition.ts";
import { ACCEPT, type Automaton, type Kill, type Transition } from "./automaton.ts";
import { holds } from "./conditions.ts";
import type { HeldMatch, KeyState, PartialMatch } from "./key-state.ts";
import { skipBoundOf, type SkipBound } from "./skip.ts";
import { inOrder, takenOf, type PatternEvent, type Taken } from "./taken.ts";

/** Partial matches of a key, and matches that wait for one of them. */
export const PARTIAL_MATCHES_MAX = 1_000;
export const EVENTS_PER_MATCH_MAX = 1_000;
/** What its events have captured, 32 bytes and more for each. */
export const BYTES_PER_MATCH_MAX = 64 * 1024;
/** Of all partial and waiting matches of a key; what they share counts for each. */
export const BYTES_PER_KEY_MAX = 1024 * 1024;

export class PatternLimitExceeded extends Error {
  override readonly name = "PatternLimitExceeded";
}

const tooMuch = (what: string): PatternLimitExceeded =>
  new PatternLimitExceeded(
    `the event would make ${what}, which is the limit; let partial matches end sooner, with within, until, ` +
      "a skip strategy, or followedBy instead of followedByAny",
  );

export interface MatcherSettings {
  readonly automaton: Automaton;
  readonly steps: readonly string[];
  readonly withinMs: number | undefined;
  readonly skip: SkipDefinition;
}

/**
 * `decided`: the event time at which it became certain, which is that of its last event unless it ends
 * with what must not come. `timedOut`: a partial match that `within` has ended.
 */
export type Emit = (last: Taken, decided: number, timedOut: boolean) => void;

const killed = (kills: readonly Kill[], event: PatternEvent, taken: Taken | undefined): boolean => {
  for (const { when, unless } of kills) {
    if (holds(when, event, taken) && !(unless !== undefined && holds(unless, event, taken))) {
      return true;
    }
  }
  return false;
};

export class Matcher {
  readonly #automaton: Automaton;
  readonly #withinMs: number;
  readonly #skips: boolean;
  readonly #bound: SkipBound;
  // Filled by a turn; the state takes them over when it has succeeded.
  #partials: PartialMatch[] = [];
  #held: HeldMatch[] = [];
  readonly #complete: Taken[] = [];

  constructor({ automaton, steps, withinMs, skip }: MatcherSettings) {
    this.#automaton = automaton;
    this.#withinMs = withinMs ?? Number.POSITIVE_INFINITY;
    this.#skips = skip.strategy !== "noSkip";
    this.#bound = skipBoundOf(skip, steps);
  }

  /** Whether the event would leave a key without partial matches as it is. */
  startsNothing(event: PatternEvent): boolean {
    for (const { state, kills } of this.#automaton.start) {
      if (this.#takes(state, event, undefined) && !killed(kills, event, undefined)) return false;
    }
    return true;
  }

  advance(state: KeyState, event: PatternEvent, time: number, emit: Emit): void {
    this.#begin(state);
    const { transitions, start } = this.#automaton;
    const { sequence } = state;
    for (const partial of state.partials) {
      const transition = transitions[partial.transition]!;
      const { taken } = partial;
      if (killed(transition.kills, event, taken)) continue;
      const isNext = taken.sequence + 1 === sequence;
      if (isNext && killed(transition.killsNext, event, taken)) continue;
      if (transition.to === ACCEPT) {
        if (transition.contiguity === "next") this.#complete.push(taken);
        else this.#partials.push(partial);
        continue;
      }
      const takes = this.#takes(transition.to, event, taken);
      if (takes) this.#take(transition.to, event, time, sequence, taken);
      const waits = takes
        ? transition.contiguity === "followedByAny"
        : transition.contiguity !== "next";
      if (waits) this.#partials.push(this.#lifted(partial, transition, event));
    }
    for (const { state: first, kills } of start) {
      if (this.#takes(first, event, undefined) && !killed(kills, event, undefined)) {
        this.#take(first, event, time, sequence, undefined);
      }
    }
    this.#settle(time, emit);
    this.#finish(state);
    state.sequence = sequence + 1;
  }

  /** Ends every partial match whose `within` is over at `time`; those that wait for it are complete. */
  expire(state: KeyState, time: number, emit: Emit): void {
    this.#begin(state);
    const { states, transitions } = this.#automaton;
    const ended: Taken[] = [];
    for (const partial of state.partials) {
      const { taken } = partial;
      if (taken.startTime + this.#withinMs > time) this.#partials.push(partial);
      else if (transitions[partial.transition]!.to === ACCEPT) this.#complete.push(taken);
      else ended.push(taken);
    }
    const complete = new Set(this.#complete);
    this.#settle(time, emit);
    // What has been a match, or is one now, was not cut short.
    const cut = ended.filter((taken) => !states[taken.state]!.accepts && !complete.has(taken));
    for (const taken of inOrder(cut)) emit(taken, time, true);
    this.#finish(state);
  }

  /** When `expire` has to be called next; undefined: never. */
  nextExpiry(state: KeyState): number | undefined {
    if (this.#withinMs === Number.POSITIVE_INFINITY || state.partials.length === 0)
      return undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const { taken } of state.partials) earliest = Math.min(earliest, taken.startTime);
    return earliest + this.#withinMs;
  }

  #begin(state: KeyState): void {
    this.#partials.length = 0;
    this.#complete.length = 0;
    this.#held.length = 0;
    for (const held of state.held) this.#held.push(held);
  }

  #takes(index: number, event: PatternEvent, taken: Taken | undefined): boolean {
    const { take, unless } = this.#automaton.states[index]!;
    return holds(take, event, taken) && !(unless !== undefined && holds(unless, event, taken));
  }

  #take(
    index: number,
    event: PatternEvent,
    time: number,
    sequence: number,
    previous: Taken | undefined,
  ): void {
    const state = this.#automaton.states[index]!;
    const taken = takenOf(event, time, sequence, index, state.step, previous);
    if (taken.length > EVENTS_PER_MATCH_MAX) {
      throw tooMuch(`a match of more than ${EVENTS_PER_MATCH_MAX} events`);
    }
    if (taken.bytes > BYTES_PER_MATCH_MAX) {
      throw tooMuch(`a match that has captured more than ${BYTES_PER_MATCH_MAX} bytes`);
    }
    if (state.accepts) this.#complete.push(taken);
    for (const transition of state.out) this.#partials.push({ transition, taken });
  }

  #settle(decided: number, emit: Emit): void {
    this.#checkLimits();
    const complete = inOrder(this.#complete);
    if (!this.#skips) {
      for (const taken of complete) emit(taken, decided, false);
      return;
    }
    for (const taken of complete) this.#held.push({ taken, decided });
    while (this.#held.length > 0) {
      let earliest = this.#held[0]!;
      for (const held of this.#held) {
        if (held.taken.startSequence < earliest.taken.startSequence) earliest = held;
      }
      const { startTime } = earliest.taken;
      if (this.#partials.some(({ taken }) => taken.startTime < startTime)) return;
      emit(earliest.taken, earliest.decided, false);
      const bound = this.#bound(earliest.taken);
      this.#held = this.#held.filter(
        (held) => held !== earliest && held.taken.startSequence > bound,
      );
      this.#partials = this.#partials.filter(({ taken }) => taken.startSequence > bound);
    }
  }

  /** Time alone adds nothing: what becomes complete by it was a partial match before. */
  #checkLimits(): void {
    const complete = this.#skips ? this.#complete.length : 0;
    if (this.#partials.length + this.#held.length + complete > PARTIAL_MATCHES_MAX) {
      throw tooMuch(`more than ${PARTIAL_MATCHES_MAX} partial matches of the key`);
    }
    let bytes = 0;
    for (const { taken } of this.#partials) bytes += taken.bytes;
    for (const { taken } of this.#held) bytes += taken.bytes;
    if (complete > 0) for (const taken of this.#complete) bytes += taken.bytes;
    if (bytes > BYTES_PER_KEY_MAX) {
      throw tooMuch(`partial matches of the key with more than ${BYTES_PER_KEY_MAX} bytes`);
    }
  }

  #finish(state: KeyState): void {
    const { partials, held } = state;
    state.partials = this.#partials;
    state.held = this.#held;
    this.#partials = partials;
    this.#held = held;
  }

  /** The same, or at the transition without the kills that the event has lifted. */
  #lifted(partial: PartialMatch, transition: Transition, event: PatternEvent): PartialMatch {
    for (const { when, to } of transition.lifts) {
      if (!holds(when, event, partial.taken)) continue;
      const next = { transition: to, taken: partial.taken };
      return this.#lifted(next, this.#automaton.transitions[to]!, event);
    }
    return partial;
  }
}
