/**
 * What a pattern knows of one key: its partial matches, and complete ones that wait for those that
 * started earlier.
 *
 * B1. Equal states have equal bytes, and reading them gives a state that goes on as the original: also
 *     what partial matches share is shared again, since each event and each link is written once.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { AutomatonState } from "./automaton.ts";
import { takenOf, type PatternEvent, type Taken } from "./taken.ts";

/** Waits at a transition. */
export interface PartialMatch {
  readonly transition: number;
  readonly taken: Taken;
}

/** Complete, and not emitted yet. */
export interface HeldMatch {
  readonly taken: Taken;
  /** The event time at which it became complete. */
  readonly decided: number;
}

export class KeyState {
  /** Of the next event. */
  sequence = 0;
  partials: PartialMatch[] = [];
  /** Complete, in the order in which they became so. */
  held: HeldMatch[] = [];
  /** When the timer is due that ends partial matches; undefined if none is set. */
  due: number | undefined = undefined;

  get isEmpty(): boolean {
    return this.partials.length === 0 && this.held.length === 0;
  }
}

export interface EventCodec {
  writeEvent(event: PatternEvent, out: ByteWriter): void;
  readEvent(from: ByteReader): PatternEvent;
}

/** Numbers every link that can be reached, earlier ones first. */
const linksOf = (state: KeyState): Map<Taken, number> => {
  const numbers = new Map<Taken, number>();
  const stack: Taken[] = [];
  const reach = (last: Taken): void => {
    for (let at: Taken | undefined = last; at !== undefined && !numbers.has(at); at = at.previous) {
      stack.push(at);
    }
    while (stack.length > 0) numbers.set(stack.pop()!, numbers.size);
  };
  for (const partial of state.partials) reach(partial.taken);
  for (const { taken } of state.held) reach(taken);
  return numbers;
};

export const writeKeyState = (state: KeyState, codec: EventCodec, out: ByteWriter): void => {
  const links = linksOf(state);
  const events = new Map<number, number>();
  const firsts: Taken[] = [];
  for (const taken of links.keys()) {
    if (events.has(taken.sequence)) continue;
    events.set(taken.sequence, events.size);
    firsts.push(taken);
  }
  out.varint(state.sequence);
  out.byte(state.due === undefined ? 0 : 1);
  if (state.due !== undefined) out.double(state.due);
  out.varint(firsts.length);
  for (const taken of firsts) {
    out.varint(taken.sequence);
    out.double(taken.time);
    codec.writeEvent(taken.event, out);
  }
  out.varint(links.size);
  for (const taken of links.keys()) {
    out.varint(events.get(taken.sequence)!);
    out.varint(taken.state);
    out.varint(taken.previous === undefined ? 0 : links.get(taken.previous)! + 1);
  }
  out.varint(state.partials.length);
  for (const partial of state.partials) {
    out.varint(partial.transition);
    out.varint(links.get(partial.taken)!);
  }
  out.varint(state.held.length);
  for (const { taken, decided } of state.held) {
    out.varint(links.get(taken)!);
    out.double(decided);
  }
};

export const readKeyState = (
  from: ByteReader,
  codec: EventCodec,
  states: readonly AutomatonState[],
): KeyState => {
  const many = <T>(read: (index: number) => T): T[] =>
    Array.from({ length: from.varint() }, (_, index) => read(index));
  const state = new KeyState();
  state.sequence = from.varint();
  state.due = from.byte() === 1 ? from.double() : undefined;
  const events = many(() => ({
    sequence: from.varint(),
    time: from.double(),
    event: codec.readEvent(from),
  }));
  const links: Taken[] = [];
  for (let left = from.varint(); left > 0; left--) {
    const { sequence, time, event } = events[from.varint()]!;
    const at = from.varint();
    const previous = from.varint();
    const before = previous === 0 ? undefined : links[previous - 1];
    links.push(takenOf(event, time, sequence, at, states[at]!.step, before));
  }
  state.partials = many(() => ({ transition: from.varint(), taken: links[from.varint()]! }));
  state.held = many(() => ({ taken: links[from.varint()]!, decided: from.double() }));
  return state;
};
