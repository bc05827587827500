/**
 * A pattern as an automaton without empty moves: a state for each place where an event can be taken,
 * and transitions that say what may lie between.
 *
 * N1. A partial match waits at one transition; it forks where there are several.
 * N2. A transition's kills are looked at before anything else: the event that must not come is not taken.
 * N3. Repetitions are unrolled up to their bound, or else to the lower one with a loop at the end: how
 *     often a step was repeated is in the state, never counted.
 */
import type { Contiguity } from "../../projections/definition/pattern-definition.ts";
import type { Condition } from "./conditions.ts";

/** The target of a match that is complete but for what must not come. */
export const ACCEPT = -1;

/** An event that satisfies `when`, and not `unless`, ends the wait. */
export interface Kill {
  readonly when: Condition;
  readonly unless: Condition | undefined;
  /** Once an event has satisfied `unless`, this kill is no more. */
  readonly lifts: boolean;
}

export interface Lift {
  readonly when: Condition;
  /** The transition without the kill. */
  readonly to: number;
}

export interface Transition {
  readonly to: number;
  /** To ACCEPT `next` means that the next event completes the match if it does not kill it. */
  readonly contiguity: Contiguity;
  readonly kills: readonly Kill[];
  /** Of the very next event only. */
  readonly killsNext: readonly Kill[];
  readonly lifts: readonly Lift[];
}

export interface AutomatonState {
  readonly step: number;
  readonly take: Condition;
  /** Until: an event that satisfies it is not taken. */
  readonly unless: Condition | undefined;
  /** A match is complete here. */
  readonly accepts: boolean;
  readonly out: readonly number[];
}

/** A state that can take the first event, unless that is one that must not come. */
export interface Start {
  readonly state: number;
  readonly kills: readonly Kill[];
}

export interface Automaton {
  readonly states: readonly AutomatonState[];
  readonly transitions: readonly Transition[];
  readonly start: readonly Start[];
}

/** Whether an event that satisfies no condition can still matter: as what lies between neighbours. */
export const needsNeighbours = ({ states, transitions }: Automaton): boolean =>
  states.some(({ take }) => take.bit === 0) ||
  transitions.some(
    ({ contiguity, kills, killsNext }) =>
      contiguity === "next" ||
      killsNext.length > 0 ||
      kills.some(({ when, unless }) => when.bit === 0 || unless?.bit === 0),
  );
