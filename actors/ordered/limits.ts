/**
 * How much an ordered projection may hold and do. What goes beyond a limit is a dead letter with
 * reason `poison` that names the limit; it never stops the partition.
 */
import { describeThrown } from "../../projections/definition/user-code.ts";
import { NotPlain, STATE_DEPTH_MAX } from "../../projections/definition/plain-state.ts";

/** Events of a partition that wait for their time. */
export const BUFFERED_EVENTS_MAX = 1_000_000;
/** Their encoded bytes. */
export const BUFFERED_BYTES_MAX = 256 * 1024 * 1024;
/** Events of one key that wait for their time. */
export const BUFFERED_EVENTS_OF_KEY_MAX = 100_000;

/** Timers that one key has set. */
export const TIMERS_OF_KEY_MAX = 1_000;
/** Timers of one key that fire at one event time: one that sets itself anew would never end. */
export const TIMERS_OF_MOMENT_MAX = 1_000;

/** Microsteps of a machine for one event or timer: one that never comes to rest would never end. */
export const MICROSTEPS_OF_TURN_MAX = 1_000;
/** Results of one event or timer. */
export const EMISSIONS_OF_TURN_MAX = 1_000;
/** Encoded values of one result: it must fit into one message with its commit. */
export const RESULT_BYTES_MAX = 512 * 1024;
/** Lists and records within one another, in a value. States have limits of their own: see PlainState. */
export const VALUE_DEPTH_MAX = STATE_DEPTH_MAX;

/** A limit above, or a rule of values, was broken. The message says which. */
export class TurnRefused extends Error {
  override readonly name = "TurnRefused";
}

/** What a function of the user's threw, with the name that it has in the definition. */
export const threw = (what: string, error: unknown): TurnRefused => {
  if (error instanceof TurnRefused) return error;
  if (error instanceof NotPlain) return new TurnRefused(error.message);
  return new TurnRefused(`${what} ${describeThrown(error)}`);
};
