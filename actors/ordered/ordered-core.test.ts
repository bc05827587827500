/** The frame of ordered projections under a small operator that does all that an operator can. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { compileExpression } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import { imbalance } from "../task/books-keeper.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { EMISSIONS_OF_TURN_MAX, TIMERS_OF_KEY_MAX } from "./limits.ts";
import { OrderedCore } from "./ordered-core.ts";
import type { KeyedOperator, Turn } from "./keyed-operator.ts";

const RUNS = propertyRuns(200);

interface Tally {
  readonly events: number;
  readonly cents: number;
}

/** Amounts with a meaning of their own; all others are added up. */
const POISON = 13;
const FORGET = 0;
const WATCH = 7;
const UNWATCH = 8;
const TWICE = 9;
const LOOP = 6;
const FLOOD = 5;
const CROWD = 4;
const QUIET_MS = 4;

class TallyOperator implements KeyedOperator<number, Tally> {
  readonly #cents: ReturnType<typeof compileExpression>;
  #vector: Vector | undefined;

  constructor(plan: ProjectionPlan) {
    this.#cents = compileExpression({ field: "cents" }, plan);
  }

  begin(batch: Parameters<KeyedOperator<number, Tally>["begin"]>[0]): void {
    this.#vector = this.#cents.evaluate(batch);
  }

  take(row: number): number | undefined {
    if (this.#vector!.valid[row] === 0) return undefined;
    const cents = this.#vector!.values[row]!;
    if (cents < -90) throw new Error("less than nothing");
    return cents;
  }

  open = (): Tally => ({ events: 0, cents: 0 });

  event(state: Tally, cents: number, turn: Turn): Tally | undefined {
    const next = { events: state.events + 1, cents: state.cents + cents };
    const { time } = turn;
    if (cents === WATCH) turn.setTimer("quiet", time + QUIET_MS);
    if (cents === UNWATCH) turn.cancelTimer("quiet");
    if (cents === LOOP) turn.setTimer("loop", time - 100);
    if (cents === TWICE) {
      turn.emit(time, time + 1, [next.cents, "first"]);
      turn.emit(time, time + 1, [next.cents, "second"]);
      turn.setTimer("tick", time + 2);
    }
    if (cents === FLOOD) {
      for (let i = 0; i <= EMISSIONS_OF_TURN_MAX; i++) turn.emit(time, time + 1, [i, null]);
    }
    if (cents === CROWD) {
      for (let i = 0; i <= TIMERS_OF_KEY_MAX; i++) turn.setTimer(`t${i}`, time);
    }
    if (cents === POISON) {
      turn.emit(time, time + 1, [1, "never"]);
      turn.setTimer("never", time);
      throw new Error("unlucky");
    }
    if (cents !== FORGET) return next;
    turn.emit(time, time + 1, [state.cents, "forgotten"]);
    return undefined;
  }

  timer(state: Tally, timer: string, turn: Turn): Tally | undefined {
    if (timer === "loop") turn.setTimer("loop", turn.time);
    else turn.emit(turn.time - QUIET_MS, turn.time, [state.cents, timer]);
    if (timer === "tick" && state.events % 3 === 0) throw new Error("third");
    return timer === "quiet" ? undefined : state;
  }

  writeEvent: KeyedOperator<number, Tally>["writeEvent"] = (cents, out) => out.double(cents);
  readEvent: KeyedOperator<number, Tally>["readEvent"] = (from) => from.double();
  writeState: KeyedOperator<number, Tally>["writeState"] = ({ events, cents }, out) => {
    out.uint32(events);
    out.double(cents);
  };
  readState: KeyedOperator<number, Tally>["readState"] = (from) => ({
    events: from.uint32(),
    cents: from.double(),
  });
}

const planOf = (disorder = 0): ProjectionPlan => ({
  ...salesPlan({}, topicPlan({ maxOutOfOrdernessMs: disorder })),
  outputs: [
    { name: "cents", type: "integer" },
    { name: "what", type: "string" },
  ],
});

const runOf = (disorder = 0): PartitionRun =>
  new PartitionRun(
    planOf(disorder),
    0,
    (plan, version, partition) =>
      new OrderedCore(plan, version, partition, new TallyOperator(plan)),
  );

const pulse = (id: string, time: number): Sale => ({ id, key: "pulse", time, type: PULSE.name });
const sale = (id: number, key: string, time: number, cents: number): Sale => ({
  id: String(id),
  key,
  time,
  cents,
});

const updates = (run: PartitionRun): string[] =>
  run.take().output.updates.map((update) => `${update.ordinal}# ${describeUpdate(update)}`);

const letters = (run: PartitionRun): string[] =>
  run.take().output.deadLetters.map((letter) => {
    const reason = DeadLetter_Reason[letter.reason]!.replace("REASON_", "").toLowerCase();
    return `${reason} ${letter.eventId} ${letter.eventKey}@${letter.eventTime}: ${letter.error}`;
  });

test("O3: a result is of the event that moved the watermark, whatever the intake refuses behind that", () => {
  const given = [sale(1, "a", 8, TWICE), pulse("p", 20), pulse("p", 20), sale(2, "a", 30, 1)];
  const placesOf = (batches: readonly (readonly Sale[])[]) => {
    const run = runOf();
    for (const batch of batches) run.read(encodeBatch(batch));
    return run.take().output.updates.map(({ sequence, index }) => [sequence, index]);
  };
  expect(placesOf([given])).toEqual(Array.from({ length: 3 }, () => [1, 1]));
  expect(placesOf([given.slice(0, 3)])).toEqual(placesOf([given]));
  expect(placesOf([given.slice(0, 2), given.slice(2)])).toEqual(placesOf([given]));
});

test("O2: events of a key come in the order of their times, whatever order they arrive in", () => {
  const run = runOf(10);
  run.read(
    encodeBatch([
      sale(1, "a", 8, TWICE),
      sale(2, "a", 3, 1),
      sale(3, "a", 5, FORGET),
      sale(4, "a", 4, 2),
      pulse("p", 30),
    ]),
  );
  expect(updates(run)).toEqual([
    "0# a [5, 6) final 1: 3 forgotten",
    "0# a [8, 9) final 1: 9 first",
    "1# a [8, 9) final 1: 9 second",
    "0# a [6, 10) final 1: 9 tick",
  ]);
});

test("O2: a timer fires before the events of its time, and only if it was not cancelled", () => {
  const run = runOf(20);
  run.read(
    encodeBatch([
      sale(1, "a", 1, WATCH),
      sale(2, "a", 1 + QUIET_MS, 1),
      sale(3, "b", 1, WATCH),
      sale(4, "b", QUIET_MS, UNWATCH),
      sale(5, "c", 1, WATCH),
      sale(6, "c", 3, WATCH),
      pulse("p", 50),
    ]),
  );
  expect(updates(run)).toEqual([
    `0# a [1, ${1 + QUIET_MS}) final 1: 7 quiet`,
    `0# c [3, ${3 + QUIET_MS}) final 1: 14 quiet`,
  ]);
});

test("O1: an event is late as soon as the watermark has reached its time", () => {
  const run = runOf(2);
  run.read(encodeBatch([sale(1, "a", 10, 1), sale(2, "a", 8, 1), sale(3, "a", 7, 1)]));
  expect(letters(run)).toEqual(["late 3 a@7: its time had passed 0 ms before"]);
  const [letter] = run.output.deadLetters;
  expect(letter).toMatchObject({ window: { start: 7, end: 8 }, lateness: 0, watermark: 7 });
  expect(run.core.progress().books).toMatchObject({ events: 3, counted: 2, late: 1 });
});

test("O4: a turn that throws is a dead letter with its event, and leaves nothing else", () => {
  const run = runOf(5);
  run.read(encodeBatch([sale(1, "a", 1, 5000), sale(2, "a", 2, POISON), sale(3, "b", 2, TWICE)]));
  expect(run.core.progress().books).toMatchObject({ counted: 3, poison: 0 });
  run.restart().read(encodeBatch([sale(4, "a", 3, TWICE), pulse("p", 20)]));
  expect(letters(run)).toEqual(["poison 2 a@2: Error: unlucky"]);
  expect(Buffer.from(run.output.deadLetters[0]!.event).length).toBeGreaterThan(10);
  expect(run.output.deadLetters[0]!.position).toEqual({ partition: 0, sequence: 1, index: 1 });
  expect(updates(run).map((text) => text.replace(/.*: /, ""))).toEqual([
    "9 first",
    "9 second",
    "5009 first",
    "5009 second",
    "9 tick",
    "5009 tick",
  ]);
  expect(run.core.progress().books).toMatchObject({
    events: 5,
    counted: 3,
    poison: 1,
    filtered: 1,
  });
});

test("O4: limits are poison, and name themselves", () => {
  const run = runOf();
  run.read(
    encodeBatch([
      sale(1, "a", 1, FLOOD),
      sale(2, "a", 2, CROWD),
      sale(3, "a", 3, LOOP),
      sale(4, "a", 4, TWICE),
      sale(5, "a", 5, -99),
      pulse("p", 20),
    ]),
  );
  expect(letters(run)).toEqual(
    [
      "poison 5 a@5: Error: less than nothing",
      "poison 1 a@1: it emits more than 1000 results at once",
      "poison 2 a@2: the key would have 1001 timers; 1000 are the limit",
      'poison  a@3: timer "loop": more than 1000 timers of the key fire at one time',
    ].sort((a, b) => rank(run, a) - rank(run, b)),
  );
  expect(updates(run)).toHaveLength(3);
  expect(imbalance(run.core.progress().books)).toBe(0);
});

/** Where a dead letter stands among those of a run. */
const rank = (run: PartitionRun, text: string): number =>
  run.output.deadLetters.findIndex(({ error }) => text.endsWith(error));

test("holds nothing once all keys are forgotten", () => {
  const run = runOf(5);
  run.read(encodeBatch([sale(1, "a", 1, WATCH), sale(2, "b", 1, WATCH), sale(3, "b", 2, FORGET)]));
  const core = run.core as OrderedCore<number, Tally>;
  expect(core.size()).toEqual({ keys: 0, buffered: 3, timers: 0 });
  run.read(encodeBatch([pulse("p", 7)]));
  expect(core.size()).toEqual({ keys: 2, buffered: 1, timers: 2 });
  run.read(encodeBatch([pulse("q", 50)]));
  expect(core.size()).toEqual({ keys: 0, buffered: 0, timers: 0 });
});

/** What must come of sales in log order, by the words of ORDERED semantics: one list, sorted. */
const naive = (sales: readonly Sale[], disorder: number): { updates: string[]; dead: string[] } => {
  const out: string[] = [];
  const dead: string[] = [];
  let watermark = Number.NEGATIVE_INFINITY;
  const accepted: Sale[] = [];
  for (const each of sales) {
    if (each.type === undefined) {
      if (watermark >= each.time) dead.push(`late ${each.id}`);
      else accepted.push(each);
    }
    watermark = Math.max(watermark, each.time - disorder - 1);
  }
  const states = new Map<string, Tally>();
  let timers: { key: string; name: string; due: number }[] = [];
  const emitted = new Map<string, number>();
  const emit = (key: string, start: number, end: number, cents: number, what: string) => {
    const window = `${key} [${start}, ${end})`;
    const ordinal = emitted.get(window) ?? 0;
    emitted.set(window, ordinal + 1);
    out.push(`${ordinal}# ${window} final 1: ${cents} ${what}`);
  };
  const cancel = (key: string, name?: string) => {
    timers = timers.filter((t) => t.key !== key || (name !== undefined && t.name !== name));
  };
  const set = (key: string, name: string, due: number) => {
    cancel(key, name);
    timers.push({ key, name, due });
  };
  const fireUntil = (time: number) => {
    for (;;) {
      const due = Math.min(...timers.map((timer) => timer.due));
      if (due > time) return;
      const timer = timers.find((each) => each.due === due)!;
      cancel(timer.key, timer.name);
      const state = states.get(timer.key)!;
      if (timer.name === "tick" && state.events % 3 === 0) {
        dead.push(`poison ${timer.key}`);
        continue;
      }
      emit(timer.key, due - QUIET_MS, due, state.cents, timer.name);
      if (timer.name === "quiet") {
        states.delete(timer.key);
        cancel(timer.key);
      }
    }
  };
  const ordered = accepted.map((each, i) => ({ each, i }));
  ordered.sort((a, b) => a.each.time - b.each.time || a.i - b.i);
  for (const { each } of ordered) {
    fireUntil(each.time);
    const { key, time } = each;
    const cents = Number(each.cents);
    if (cents === POISON) {
      dead.push(`poison ${each.id}`);
      continue;
    }
    const before = states.get(key) ?? { events: 0, cents: 0 };
    if (cents === FORGET) {
      emit(key, time, time + 1, before.cents, "forgotten");
      states.delete(key);
      cancel(key);
      continue;
    }
    const state = { events: before.events + 1, cents: before.cents + cents };
    states.set(key, state);
    if (cents === WATCH) set(key, "quiet", time + QUIET_MS);
    if (cents === UNWATCH) cancel(key, "quiet");
    if (cents === TWICE) {
      emit(key, time, time + 1, state.cents, "first");
      emit(key, time, time + 1, state.cents, "second");
      set(key, "tick", time + 2);
    }
  }
  fireUntil(Number.MAX_SAFE_INTEGER);
  return { updates: out, dead: dead.sort() };
};

const CENTS = [1, FORGET, WATCH, WATCH, UNWATCH, TWICE, TWICE, POISON];

const salesArbitrary = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b", "c"),
      time: fc.integer({ min: -20, max: 20 }),
      cents: fc.constantFrom(...CENTS),
    }),
    { maxLength: 30 },
  )
  .map((sales) => sales.map(({ key, time, cents }, id) => sale(id, key, time, cents)));

const END = pulse("end", 100_000);

test("O1 to O5: gives what a sorted list gives, in any batches, with a restart at every event", () => {
  fc.assert(
    fc.property(
      salesArbitrary,
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 1, max: 7 }),
      (sales, disorder, size) => {
        const expected = naive(sales, disorder);
        const check = (run: PartitionRun) => {
          expect(updates(run)).toEqual(expected.updates);
          const dead = letters(run).map((text) =>
            text.startsWith("poison  ")
              ? `poison ${text[8]}`
              : text.split(" ").slice(0, 2).join(" "),
          );
          expect(dead.sort()).toEqual(expected.dead);
          const { books } = run.core.progress();
          expect(imbalance(books)).toBe(0);
          expect(books.events).toBe(sales.length + 1);
        };
        const batched = runOf(disorder);
        for (let i = 0; i < sales.length; i += size) {
          batched.read(encodeBatch(sales.slice(i, i + size)));
        }
        check(batched.read(encodeBatch([END])));
        const alone = runOf(disorder);
        const restarted = runOf(disorder);
        for (const each of [...sales, END]) {
          alone.read(encodeBatch([each]));
          restarted.read(encodeBatch([each]));
          const before = digestHex(restarted.core);
          expect(before).toBe(digestHex(alone.core));
          restarted.take().restart();
          expect(digestHex(restarted.core)).toBe(before);
        }
        check(alone);
        check(restarted);
      },
    ),
    { numRuns: RUNS },
  );
});

test("O2: results do not depend on the order of arrival within out-of-orderness", () => {
  fc.assert(
    fc.property(
      salesArbitrary.chain((sales) =>
        fc.tuple(
          // One event of a key a time: among equals the log decides.
          fc.constant(
            sales.filter(
              (each, i) =>
                sales.findIndex((other) => other.key === each.key && other.time === each.time) ===
                i,
            ),
          ),
          fc.infiniteStream(fc.nat()),
        ),
      ),
      ([sales, dice]) => {
        const shuffled = sales
          .map((each) => ({ each, at: dice.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each);
        const [one, other] = [sales, shuffled].map((list) =>
          updates(runOf(40).read(encodeBatch([...list, END]))).sort(),
        );
        expect(other).toEqual(one);
      },
    ),
    { numRuns: RUNS },
  );
});
