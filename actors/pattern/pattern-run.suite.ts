/** Runs the matcher over abstract events, with a restart before each if asked for. */
import type { PatternElement } from "../../projections/definition/pattern-definition.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { needsNeighbours } from "./automaton.ts";
import { compilePattern } from "./compile-pattern.ts";
import { Conditions } from "./conditions.ts";
import { KeyState, readKeyState, writeKeyState, type EventCodec } from "./key-state.ts";
import { Matcher } from "./matcher.ts";
import { evaluatePlain, type ModelEvent, type ModelPattern } from "./pattern-model.suite.ts";
import { readScalar, writeScalar } from "./scalar.ts";
import { bytesOf, pathOf, type PatternEvent, type Taken } from "./taken.ts";

const stepNames = (elements: readonly PatternElement[]): readonly string[] =>
  elements.flatMap((element) =>
    "group" in element ? stepNames(element.group) : "step" in element ? [element.step] : [],
  );

export const stepsOf = (pattern: ModelPattern): readonly string[] => stepNames(pattern.elements);

export class PatternRun {
  readonly emitted: string[] = [];
  readonly rows: { readonly window: string; readonly emittedAt: number }[] = [];
  #now = 0;
  readonly #conditions: Conditions;
  readonly #steps: readonly string[];
  readonly #automaton;
  readonly #matcher: Matcher;
  readonly #codec: EventCodec;
  readonly #neighbours: boolean;
  /** By sequence number: which event it was. */
  #indexes: number[] = [];
  #state = new KeyState();

  constructor(pattern: ModelPattern) {
    this.#steps = stepsOf(pattern);
    this.#conditions = new Conditions(this.#steps, () => true);
    this.#automaton = compilePattern(pattern.elements, this.#steps, this.#conditions);
    this.#neighbours = needsNeighbours(this.#automaton);
    this.#matcher = new Matcher({ automaton: this.#automaton, steps: this.#steps, ...pattern });
    const width = this.#conditions.captures.length;
    this.#codec = {
      writeEvent: (event, out) => {
        out.uint32(event.mask);
        for (const value of event.values) writeScalar(value, out);
      },
      readEvent: (from) => {
        const mask = from.uint32() | 0;
        const values = Array.from({ length: width }, () => readScalar(from));
        return { mask, values, bytes: bytesOf(values) };
      },
    };
  }

  get state(): KeyState {
    return this.#state;
  }

  #bytes(): Uint8Array {
    const out = new ByteWriter();
    writeKeyState(this.#state, this.#codec, out);
    return out.finish();
  }

  /** Gives the bytes of the state that it goes on from. */
  restart(): Uint8Array {
    const bytes = this.#bytes();
    this.#state = readKeyState(new ByteReader(bytes), this.#codec, this.#automaton.states);
    return bytes;
  }

  bytes(): Uint8Array {
    return this.#bytes();
  }

  readonly #emit = (last: Taken, decided: number, timedOut: boolean): void => {
    const path = pathOf(last).map(
      ({ sequence, step }) => `${this.#indexes[sequence]}${this.#steps[step]}`,
    );
    this.emitted.push(`${path.join(" ")}${timedOut ? " ..." : ""} @${decided}`);
    this.rows.push({ window: `[${last.startTime}, ${decided + 1})`, emittedAt: this.#now });
  };

  expireUntil(time: number): void {
    for (;;) {
      const due = this.#matcher.nextExpiry(this.#state);
      if (due === undefined || due > time) return;
      this.#now = due;
      this.#matcher.expire(this.#state, due, this.#emit);
    }
  }

  read(event: ModelEvent, index: number): void {
    this.expireUntil(event.time);
    this.#now = event.time;
    const none = () => [];
    let mask = 0;
    this.#conditions.prefilters.forEach((expression, bit) => {
      if (evaluatePlain(expression, event, none) === true) mask |= 1 << bit;
    });
    if (!this.#neighbours && mask === 0) return;
    const values = this.#conditions.captures.map((capture) =>
      capture.mask === 0 || (mask & capture.mask) !== 0
        ? evaluatePlain(capture.expression, event, none)
        : null,
    );
    const kept: PatternEvent = { mask, values, bytes: bytesOf(values) };
    this.#indexes[this.#state.sequence] = index;
    this.#matcher.advance(this.#state, kept, event.time, this.#emit);
  }
}
