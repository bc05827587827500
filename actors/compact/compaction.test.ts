/** Logs of compacted topics as properties: what is left gives what the whole log gave. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ACCEPTED } from "../intake/event-batch.ts";
import { Intake } from "../intake/intake.ts";
import { textOf } from "../kernel/text.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import {
  compacted,
  encode,
  HORIZON_MS,
  passOver,
  priceLogs,
  prices,
  stored,
  topicRules,
  type Drawn,
  type Stored,
} from "./table-join.suite.ts";

const RUNS = propertyRuns(300);

interface Row {
  readonly id: string;
  readonly time: number;
  readonly place: string;
}

/** A log as its readers see it. */
const seen = (log: readonly Stored[]) => {
  const intake = new Intake(prices, []);
  const newest = new Map<string, Row>();
  /** By record batch. */
  const states = new Map<number, string>();
  const verdicts = new Map<string, number>();
  let watermark = Number.NEGATIVE_INFINITY;
  for (const { sequence, data } of log) {
    const { count, bytes, ...batch } = intakeOf(intake, sequence, data);
    for (let row = 0; row < count; row++) {
      const place = `${sequence}/${row}`;
      verdicts.set(place, batch.verdicts[row]!);
      if (batch.verdicts[row] !== ACCEPTED) continue;
      const text = (starts: Int32Array, ends: Int32Array) =>
        textOf(bytes, starts[row]!, ends[row]!);
      const key = `${batch.typeIndexes[row]} ${text(batch.keyStarts, batch.keyEnds)}`;
      const time = batch.eventTimes[row]!;
      if (time < (newest.get(key)?.time ?? -Infinity)) continue;
      newest.set(key, { id: text(batch.idStarts, batch.idEnds), time, place });
    }
    watermark = intake.watermarkAfter;
    states.set(sequence, `${watermark} ${intake.idle} ${intake.ingestClock}`);
  }
  return { newest: Object.fromEntries(newest), states, verdicts, watermark };
};

const intakeOf = (intake: Intake, sequence: number, data: Uint8Array) => {
  const batch = intake.read(sequence, data);
  const { count, bytes, verdicts, typeIndexes, eventTimes } = batch;
  const { keyStarts, keyEnds, idStarts, idEnds } = batch;
  return { count, bytes, verdicts, typeIndexes, eventTimes, keyStarts, keyEnds, idStarts, idEnds };
};

/** Ends of passes, each cut off after some deletes. */
const passes = fc.array(
  fc.record({
    // `fc.double` would draw hardly anything but its ends.
    share: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
    deletes: fc.oneof(fc.constant(Infinity), fc.nat(4)),
    keysMax: fc.integer({ min: 1, max: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

test("the newest row of each key stays, and all that stays is judged as it was", () => {
  fc.assert(
    fc.property(priceLogs, passes, (batches, draws) => {
      const whole = stored(batches.map(encode));
      let log = whole;
      let furthest = 0;
      for (const { share, deletes, keysMax } of draws) {
        const end = Math.floor(whole.length * share);
        furthest = Math.max(furthest, end);
        const next = compacted(log, topicRules({ end, keysMax }), deletes);
        expect(next.at(-1)).toBe(log.at(-1));
        log = next;
      }
      expect(log.filter(({ sequence }) => sequence > furthest)).toEqual(whole.slice(furthest));
      const before = seen(whole);
      const after = seen(log);
      expect(after.newest).toEqual(before.newest);
      for (const [place, verdict] of after.verdicts) {
        expect([place, verdict]).toEqual([place, before.verdicts.get(place)]);
      }
      // C3: from the end on a reader has the watermark and the clock that it had.
      for (const { sequence } of log) {
        if (sequence < furthest) continue;
        expect(after.states.get(sequence)).toBe(before.states.get(sequence));
      }
    }),
    { numRuns: RUNS },
  );
});

test("a pass deletes each record batch in which nothing is needed, however few keys fit into memory", () => {
  fc.assert(
    fc.property(priceLogs, fc.integer({ min: 1, max: 5 }), (batches, keysMax) => {
      const log = stored(batches.map(encode));
      const end = log.length;
      const pass = passOver(log, topicRules({ end, keysMax }));
      expect(pass.removable()).toEqual(passOver(log, topicRules({ end })).removable());
      expect(pass.records).toBe(log.length);
      // Naively: without ids that are there twice, only the newest rows and at most six landmarks stay.
      const { newest, verdicts } = seen(log);
      const repeated = [...verdicts.values()].some((verdict) => verdict !== ACCEPTED);
      const needed = new Set(Object.values(newest).map(({ place }) => place.split("/")[0]));
      const kept = log.length - pass.removable().length;
      if (!repeated) expect(kept).toBeLessThanOrEqual(needed.size + 6);
    }),
    { numRuns: RUNS },
  );
});

test("passes that run at once do no harm, in whatever order their deletes come", () => {
  fc.assert(
    fc.property(priceLogs, fc.array(fc.boolean(), { maxLength: 60 }), (batches, turns) => {
      const whole = stored(batches.map(encode));
      const one = passOver(whole, topicRules({ end: Math.floor(whole.length / 2) })).removable();
      const other = passOver(whole, topicRules({ end: whole.length })).removable();
      const gone = new Set<number>();
      const left: readonly number[][] = [[...one], [...other]];
      for (const turn of turns) {
        const sequence = left[turn ? 1 : 0]!.shift();
        if (sequence !== undefined) gone.add(sequence);
      }
      const log = whole.filter(({ sequence }) => !gone.has(sequence));
      expect(seen(log).newest).toEqual(seen(whole).newest);
      const third = compacted(log, topicRules({ end: whole.length }));
      expect(seen(third).newest).toEqual(seen(whole).newest);
    }),
    { numRuns: RUNS },
  );
});

describe("of a log of rows", () => {
  const row = (id: string, key: string, time: number, type: Drawn["type"] = "Price"): Drawn => ({
    id,
    key,
    time,
    type,
  });
  const log = (...batches: readonly (readonly [now: number, ...events: readonly Drawn[]])[]) =>
    stored(batches.map(([now, ...events]) => encode({ now, events })));
  const left = (records: readonly Stored[], end: number) =>
    compacted(records, topicRules({ end })).map(({ sequence }) => sequence);

  test("replaced rows go, the newest by event time stays wherever it stands", () => {
    const records = log(
      [10, row("1", "a", 10)],
      [11, row("2", "a", 11)],
      [12, row("3", "b", 9)],
      [13, row("4", "a", 8)],
      [14, row("5", "c", 14)],
      [15, row("6", "c", 15)],
    );
    // 4 is older than 2, which stands before it.
    expect(left(records, 6)).toEqual([2, 3, 6]);
    // Up to 4, 4 is the last record batch and tells readers where they are.
    expect(left(records, 4)).toEqual([2, 3, 4, 5, 6]);
  });

  test("of one time the last in the log stays, of each type one", () => {
    const records = log(
      [10, row("1", "a", 10)],
      [11, row("2", "a", 10)],
      [12, row("3", "a", 12, "Gone")],
      [13, row("4", "b", 13)],
    );
    expect(left(records, 4)).toEqual([2, 3, 4]);
  });

  test("a record batch stays while one row of it is needed", () => {
    const records = log(
      [10, row("1", "a", 10), row("2", "b", 10)],
      [11, row("3", "a", 11)],
      [12, row("4", "c", 12)],
    );
    expect(left(records, 3)).toEqual([1, 2, 3]);
  });

  test("ticks and what was not accepted go, but for the last tick of a silence", () => {
    const records = log(
      [10, row("1", "a", 10)],
      [11],
      [12, row("x", "a", 90)],
      [13, row("y", "a", 13, "Unknown")],
      [14, row("2", "a", 14)],
      [15],
      [16],
    );
    expect(left(records, 7)).toEqual([5, 7]);
  });

  test("C3: the tick by which event time got where it is stays, and the event from which it went on", () => {
    const records = log(
      [10, row("1", "a", 10)],
      [40],
      [41, row("2", "b", 30)],
      [42, row("3", "a", 20)],
      [43, row("4", "b", 31)],
      [44, row("5", "c", 20)],
    );
    // By the tick it is 36; no event after it came so far.
    expect(left(records, 6)).toEqual([1, 2, 4, 5, 6]);
  });

  test("C2: a duplicate goes first, and what it is a duplicate of in the pass after it", () => {
    const records = log(
      [10, row("1", "a", 10)],
      [11, row("2", "a", 11)],
      [12, row("1", "a", 10)],
      [13, row("3", "b", 13)],
      [14, row("4", "a", 14)],
    );
    const first = compacted(records, topicRules({ end: 5 }));
    expect(first.map(({ sequence }) => sequence)).toEqual([1, 4, 5]);
    expect(left(first, 5)).toEqual([4, 5]);
  });

  test("C2: a duplicate beyond the end is looked for as far as one may come", () => {
    const duplicate = (now: number) =>
      log(
        [10, row("1", "a", 10)],
        [11, row("2", "a", 11)],
        [12, row("3", "b", 12)],
        [now - 1, row("4", "c", now - 1)],
        [now, row("1", "a", 10)],
      );
    expect(left(duplicate(10 + HORIZON_MS), 3)).toEqual([1, 2, 3, 4, 5]);
    // Later it is another event.
    expect(left(duplicate(11 + HORIZON_MS), 3)).toEqual([2, 3, 4, 5]);
  });

  test("where there are more record batches than a pass looks at, it says how far it got", () => {
    const records = log([10, row("1", "a", 10)], [11, row("2", "a", 11)], [12, row("3", "a", 12)]);
    const pass = passOver(records, topicRules({ end: 3, recordsMax: 2 }));
    expect(pass.fullAt).toBe(2);
    expect(pass.removable()).toEqual([]);
    expect(left(records, 2)).toEqual([2, 3]);
  });
});
