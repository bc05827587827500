/**
 * What one kind of ordered projection does with the events of a key, which come to it in event-time
 * order. Everything else is the core's: keys, order, lateness, timers, snapshots, digests, books.
 *
 * K1. Pure: the same calls give the same states and results. No clock, no chance, nothing kept
 *     outside the state of a key.
 * K2. `event` and `timer` either return or throw. When they throw, the state that they were given is as
 *     it was: an operator that changes states in place does so after all that may throw.
 * K3. Results of a key with the same window are emitted at one event time: it is only among those that
 *     ordinals tell them apart.
 */
import type { EmitDefinition } from "../../projections/definition/definition.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { OutputValue } from "./output-value.ts";

export interface KeyedOperator<Event, State> {
  /** A batch is at hand: evaluate the expressions over it. */
  begin(batch: EventBatch): void;
  /**
   * What is kept of a row until its time comes, beside its encoded event; undefined when the
   * operator has no use for it: then it is filtered out. May throw: poison.
   */
  take(row: number): Event | undefined;
  /**
   * Whether an event says what holds from its time on, and not what was at that time: where it is late, it
   * takes effect at the first moment that is not over. Undefined: none does.
   */
  isStanding?(event: Event): boolean;
  /** The state of a key that has none. */
  open(): State;
  /** The next state; undefined forgets the key and its timers. May throw: poison. */
  event(state: State, event: Event, turn: Turn): State | undefined;
  /** A timer is due. It is no longer set. */
  timer(state: State, timer: string, turn: Turn): State | undefined;
  /** Canonical bytes (A2 of Accumulator), for snapshots and digests. */
  writeEvent(event: Event, out: ByteWriter): void;
  readEvent(from: ByteReader): Event;
  writeState(state: State, out: ByteWriter): void;
  readState(from: ByteReader): State;
  /** For states that are themselves results. */
  readonly publication?: StatePublication<State>;
}

/**
 * As rows of a table: each state at once when it is there, as `early` with a window that ends at the first
 * millisecond of which it is the state; and a `retraction` at the first of which there is none any more.
 */
export const EVERY_STATE = { mode: "state" } as const;

/**
 * A key's state is its result: window [time of its life's first event, GLOBAL_END), `early` when it has
 * changed and `emit` says so, and `final` when it is forgotten.
 */
export interface StatePublication<State> {
  readonly emit: EmitDefinition | typeof EVERY_STATE;
  /** One value per output column. Does not throw for a state that `event` or `timer` returned. */
  row(state: State): readonly OutputValue[];
}

/** What an operator may do in a turn. It takes effect if the turn does not throw. */
export interface Turn {
  readonly key: string;
  /** Event time of the event or timer: milliseconds since the epoch. */
  readonly time: number;
  /**
   * The event at hand, an encoded tidemark.v1.Event in bytes[start, end); nothing in the turn of a timer.
   * Valid for as long as the turn lasts.
   */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** One timer per key and name; setting it again moves it. One due in the past fires now. */
  setTimer(timer: string, due: number): void;
  cancelTimer(timer: string): void;
  /**
   * A result: a row of its own, kind final, window [start, end), with one value per output column.
   * Throws TurnRefused for values that do not fit their columns.
   */
  emit(start: number, end: number, values: readonly OutputValue[]): void;
  /**
   * The same for a result that does not come from the event at hand, so that refusing that event would
   * not help: values that do not fit make a dead letter of the result alone, and the turn goes on.
   */
  offer(start: number, end: number, values: readonly OutputValue[]): void;
}
