/** The pure parts of joins, fed in the order of event time, against nested loops. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { AsOfJoin, type AsOfState } from "./as-of-join.ts";
import { IntervalJoin, type EmitJoined, type IntervalState } from "./interval-join.ts";
import {
  asOfModel,
  intervalModel,
  sorted,
  type AsOfModel,
  type IntervalModel,
  type ModelEvent,
  type ModelResult,
} from "./join-model.suite.ts";
import { JOIN_BYTES_PER_KEY_MAX, JOIN_ROW_BYTES_MAX, JOIN_ROWS_PER_KEY_MAX } from "./limits.ts";
import type { JoinRow, RowBuffer } from "./row-buffer.ts";

const RUNS = propertyRuns(400);

const cellsOf = ({ id, colour }: ModelEvent): Uint8Array =>
  new TextEncoder().encode(`${id}:${colour}`);
const textOf = (row: JoinRow): readonly string[] => new TextDecoder().decode(row.cells).split(":");
const idOf = (row: JoinRow | undefined): string | null =>
  row === undefined ? null : textOf(row)[0]!;
const sameColour = (l: JoinRow, r: JoinRow): boolean => textOf(l)[1] === textOf(r)[1];

/** What both joins have in common, for one key. */
interface PureJoin<State> {
  open(): State;
  event(state: State, event: ModelEvent, emit: EmitJoined): State | undefined;
  timer(state: State, time: number, emit: EmitJoined): State | undefined;
  due(state: State): number;
  write(state: State, out: ByteWriter): void;
  read(from: ByteReader): State;
}

class Refused extends Error {}

interface Hazards {
  /** Whether a turn first fails after so many emissions; undefined: it does not. */
  readonly fails: () => number | undefined;
  readonly restarts: () => boolean;
}
const NO_HAZARDS: Hazards = { fails: () => undefined, restarts: () => false };

/** Events in the order of event time, each preceded by the timers that are due. */
class Feed<State> {
  readonly results: ModelResult[] = [];
  state: State | undefined;
  readonly #join: PureJoin<State>;
  readonly #hazards: Hazards;

  constructor(join: PureJoin<State>, hazards: Hazards = NO_HAZARDS) {
    this.#join = join;
    this.#hazards = hazards;
  }

  to(time: number): this {
    for (;;) {
      if (this.state === undefined) return this;
      const due = this.#join.due(this.state);
      if (due > time) return this;
      this.#turn((emit) => this.#join.timer(this.state!, due, emit));
    }
  }

  event(event: ModelEvent): this {
    this.to(event.time);
    this.#turn((emit) => this.#join.event(this.state ?? this.#join.open(), event, emit));
    return this;
  }

  /** A turn that fails has changed nothing: what comes after it shows. */
  #turn(run: (emit: EmitJoined) => State | undefined): void {
    let left = this.#hazards.fails();
    if (left !== undefined) {
      try {
        run(() => {
          if (left!-- === 0) throw new Refused();
        });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    }
    this.state = run((start, end, left, right) => {
      this.results.push({ key: "k", start, end, left: idOf(left), right: idOf(right) });
    });
    if (this.state !== undefined && this.#hazards.restarts()) {
      this.state = this.#join.read(new ByteReader(this.bytes()!));
    }
  }

  bytes(): Uint8Array | undefined {
    if (this.state === undefined) return undefined;
    const out = new ByteWriter();
    this.#join.write(this.state, out);
    return out.finish();
  }
}

type IntervalMode = IntervalModel["mode"];
const MODES: readonly IntervalMode[] = ["inner", "left", "right", "full", "semi", "anti"];

const interval = (settings: IntervalModel): PureJoin<IntervalState> => {
  const accepts = settings.equalColours ? sameColour : undefined;
  const join = new IntervalJoin({ ...settings, accepts });
  return {
    open: () => join.open(),
    event: (state, event, emit) => {
      const { time, left, right } = event;
      const cells = cellsOf(event);
      return join.event(state, time, left ? cells : undefined, right ? cells : undefined, emit);
    },
    timer: (state, time, emit) => join.timer(state, time, emit),
    due: (state) => join.due(state),
    write: (state, out) => join.write(state, out),
    read: (from) => join.read(from),
  };
};

const asOf = (settings: AsOfModel): PureJoin<AsOfState> => {
  const accepts = settings.equalColours ? sameColour : undefined;
  const join = new AsOfJoin({ ...settings, accepts, windowOf: undefined, inOrder: false });
  return {
    open: () => join.open(),
    event: (state, event) => {
      const { time, left, right, deletes } = event;
      const cells = cellsOf(event);
      const change = deletes ? ("deleted" as const) : ("row" as const);
      return join.event(
        state,
        time,
        left ? cells : undefined,
        right ? { change, time, cells } : undefined,
      );
    },
    timer: (state, time, emit) => join.timer(state, time, emit),
    due: (state) => join.due(state),
    write: (state, out) => join.write(state, out),
    read: (from) => join.read(from),
  };
};

/** Already in order. */
const eventsArbitrary: fc.Arbitrary<ModelEvent[]> = fc
  .array(
    fc.record({
      step: fc.oneof(fc.constant(0), fc.nat(4)),
      left: fc.boolean(),
      right: fc.boolean(),
      deletes: fc.boolean(),
      colour: fc.nat(1),
    }),
    { maxLength: 60 },
  )
  .map((steps) => {
    let time = -20;
    return steps.map(({ step, left, right, ...rest }, index) => {
      time += step;
      return { id: `e${index}`, key: "k", time, left, right: right || !left, ...rest };
    });
  });

const hazardsArbitrary: fc.Arbitrary<Hazards> = fc
  .tuple(
    fc.infiniteStream(fc.option(fc.nat(3), { nil: undefined, freq: 2 })),
    fc.infiniteStream(fc.boolean()),
  )
  .map(([fails, restarts]) => ({
    fails: () => fails.next().value as number | undefined,
    restarts: () => restarts.next().value as boolean,
  }));

const boundsArbitrary = fc
  .tuple(fc.integer({ min: -8, max: 12 }), fc.nat(16))
  .map(([before, span]) => ({ beforeMs: before, afterMs: span - before }));

const FAR = 1_000;

describe("within an interval", () => {
  test("J1 and J2: what is emitted is what nested loops find, however turns fail and restart", () => {
    fc.assert(
      fc.property(
        eventsArbitrary,
        boundsArbitrary,
        fc.constantFrom(...MODES),
        fc.boolean(),
        hazardsArbitrary,
        (events, bounds, mode, equalColours, hazards) => {
          const feed = new Feed(interval({ ...bounds, mode, equalColours }), hazards);
          for (const event of events) feed.event(event);
          const time = events.at(-1)?.time ?? 0;
          const model = (watermark: number) =>
            sorted(intervalModel(events, { ...bounds, mode, equalColours }, watermark));
          expect(sorted(feed.results)).toEqual(model(time));
          feed.to(FAR);
          expect(sorted(feed.results)).toEqual(model(FAR));
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("J3: results come in the order of their ends", () => {
    fc.assert(
      fc.property(
        eventsArbitrary,
        boundsArbitrary,
        fc.constantFrom(...MODES),
        (events, b, mode) => {
          const feed = new Feed(interval({ ...b, mode, equalColours: true }));
          for (const event of events) feed.event(event);
          const ends = feed.to(FAR).results.map(({ end }) => end);
          expect(ends).toEqual(ends.toSorted((x, y) => x - y));
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("J4: after each moment there are just the rows that may still find partners", () => {
    fc.assert(
      fc.property(eventsArbitrary, boundsArbitrary, (events, { beforeMs, afterMs }) => {
        const feed = new Feed(interval({ beforeMs, afterMs, mode: "full", equalColours: false }));
        for (const [index, event] of events.entries()) {
          feed.event(event);
          const seen = events.slice(0, index + 1);
          const waits = (time: number, wait: number) => wait >= 0 && time + wait >= event.time;
          const live = (of: "left" | "right", wait: number) =>
            seen.filter((e) => e[of] && waits(e.time, wait)).map((e) => e.id);
          const held = (buffer: RowBuffer | undefined) =>
            buffer?.rows.slice(buffer.from, buffer.to).map(idOf) ?? [];
          expect(held(feed.state?.left)).toEqual(live("left", afterMs));
          expect(held(feed.state?.right)).toEqual(live("right", beforeMs));
        }
        expect(feed.to(FAR).state).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("equal histories give equal bytes, with and without restarts", () => {
    fc.assert(
      fc.property(
        eventsArbitrary,
        boundsArbitrary,
        fc.constantFrom(...MODES),
        hazardsArbitrary,
        (events, b, mode, hazards) => {
          const plain = new Feed(interval({ ...b, mode, equalColours: true }));
          const odd = new Feed(interval({ ...b, mode, equalColours: true }), hazards);
          for (const event of events) {
            expect(odd.event(event).bytes()).toEqual(plain.event(event).bytes());
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("times at the ends of what there is do not run for ever", () => {
    const far = 8.64e15;
    const feed = new Feed(
      interval({ beforeMs: far, afterMs: far, mode: "left", equalColours: false }),
    );
    feed.event({
      id: "a",
      key: "k",
      time: far,
      left: true,
      right: false,
      deletes: false,
      colour: 0,
    });
    feed.to(Infinity);
    expect(feed.state).toBeUndefined();
    expect(feed.results).toEqual([
      { key: "k", start: far, end: Number.MAX_SAFE_INTEGER, left: "a", right: null },
    ]);
  });

  test("a key with too many rows refuses the next, and keeps those that it has", () => {
    const join = new IntervalJoin({ beforeMs: 0, afterMs: 5, mode: "inner", accepts: undefined });
    const none = new Uint8Array(0);
    const ignore = () => {};
    let state = join.open();
    for (let i = 0; i < JOIN_ROWS_PER_KEY_MAX; i++) {
      state = join.event(state, 1, none, undefined, ignore)!;
    }
    expect(() => join.event(state, 1, none, undefined, ignore)).toThrow(/JOIN_ROWS_PER_KEY_MAX/);
    let pairs = 0;
    join.event(state, 2, undefined, none, () => pairs++);
    expect(pairs).toBe(JOIN_ROWS_PER_KEY_MAX);
  });

  test("a key whose rows have too many bytes refuses the next, until the first are dropped", () => {
    const join = new IntervalJoin({ beforeMs: 0, afterMs: 5, mode: "inner", accepts: undefined });
    const large = new Uint8Array(JOIN_ROW_BYTES_MAX);
    const ignore = () => {};
    const fits = JOIN_BYTES_PER_KEY_MAX / JOIN_ROW_BYTES_MAX;
    const fill = (from: IntervalState, time: number, count: number) => {
      let state = from;
      for (let i = 0; i < count; i++) state = join.event(state, time, large, undefined, ignore)!;
      return state;
    };
    let state = fill(fill(join.open(), 1, 10), 2, fits - 10);
    expect(() => fill(state, 2, 1)).toThrow(/JOIN_BYTES_PER_KEY_MAX/);
    const out = new ByteWriter();
    join.write(state, out);
    state = join.read(out.reader);
    expect(() => fill(state, 2, 1)).toThrow(/JOIN_BYTES_PER_KEY_MAX/);
    state = fill(join.timer(state, 7, ignore)!, 7, 10);
    expect(() => fill(state, 7, 1)).toThrow(/JOIN_BYTES_PER_KEY_MAX/);
  });
});

describe("as of event time", () => {
  const ttlArbitrary = fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 12 }));
  const modeArbitrary = fc.constantFrom("inner" as const, "left" as const);

  test("T1 to T3: each event sees what a search over all versions finds", () => {
    fc.assert(
      fc.property(
        eventsArbitrary,
        ttlArbitrary,
        modeArbitrary,
        fc.boolean(),
        hazardsArbitrary,
        (events, ttlMs, mode, equalColours, hazards) => {
          const feed = new Feed(asOf({ ttlMs, mode, equalColours }), hazards);
          for (const event of events) feed.event(event);
          const time = events.at(-1)?.time ?? 0;
          const model = (watermark: number) =>
            sorted(asOfModel(events, { ttlMs, mode, equalColours }, watermark));
          expect(sorted(feed.results)).toEqual(model(time));
          feed.to(FAR);
          expect(sorted(feed.results)).toEqual(model(FAR));
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("T2: what is left is one version, and none after its time to live", () => {
    fc.assert(
      fc.property(eventsArbitrary, ttlArbitrary, (events, ttlMs) => {
        const feed = new Feed(asOf({ ttlMs, mode: "left", equalColours: true }));
        for (const event of events) feed.event(event);
        const last = events.filter((event) => event.right).at(-1);
        feed.to((events.at(-1)?.time ?? 0) + 1);
        const over = last === undefined || last.time + ttlMs <= events.at(-1)!.time + 1;
        const { version, gone } = feed.state ?? {};
        // One that was deleted is remembered by its time alone.
        expect(version?.time).toBe(over ? undefined : last.time);
        expect(gone ?? false).toBe(!over && last.deletes);
        if (!over) expect(version!.cells.length > 0).toBe(!last.deletes);
        if (!over && !last.deletes) expect(idOf(version)).toBe(last.id);
        if (Number.isFinite(ttlMs)) expect(feed.to(FAR).state).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });
});
