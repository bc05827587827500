/** AlignedWindows by hand: what closes when, and who is told. */
import { describe, expect, test } from "vitest";
import type { AssignWindows } from "../../projections/definition/definition.ts";
import { AlignedWindows } from "./aligned-windows.ts";
import type { WindowAssigner } from "./assigner.ts";
import { CustomWindows } from "./custom.ts";
import { HoppingWindows } from "./hopping.ts";
import { LIVES, OperatorRun } from "./operator-run.suite.ts";
import type { LetterEvent, RunSettings } from "./operator-run.suite.ts";
import { TumblingWindows } from "./tumbling.ts";

interface Settings extends RunSettings {
  readonly lateness?: number;
  readonly early?: boolean;
}

const NOTHING = { keys: 0, windows: 0, slots: 0 };

describe.each(LIVES)("aligned windows, $life", ({ restarts }) => {
  const runOf = (assigner: WindowAssigner, settings: Settings = {}) =>
    new OperatorRun(
      (store, publisher) =>
        new AlignedWindows({
          store,
          publisher,
          assigner,
          allowedLatenessMs: settings.lateness ?? 0,
          publishesEarly: settings.early ?? false,
        }),
      { ...settings, restarts },
    );
  const tumbling = (settings?: Settings) => runOf(new TumblingWindows(10, 0), settings);

  test("section 4: a window closes when the watermark reaches its end - 1, and not before", () => {
    const run = tumbling();
    expect(run.operator.nextDue).toBe(Number.POSITIVE_INFINITY);
    run.add(["a", 3], ["b", 9]);
    expect(run.operator.nextDue).toBe(9);
    expect(run.sizes).toEqual({ keys: 1, windows: 1, slots: 1 });
    run.pass(8);
    expect(run.take()).toEqual([]);
    run.pass(9);
    expect(run.take()).toEqual(["k [0, 10) final 1: ab"]);
    expect(run.sizes).toEqual(NOTHING);
    expect(run.operator.nextDue).toBe(Number.POSITIVE_INFINITY);
  });

  test("section 4: it takes events until end - 1 + allowed lateness, as corrections", () => {
    const run = tumbling({ lateness: 5 });
    run.add(["a", 3]);
    run.pass(9);
    expect(run.take()).toEqual(["k [0, 10) final 1: a"]);
    expect([run.operator.nextDue, run.operator.windows]).toEqual([14, 1]);
    expect(run.add(["b", 1])).toEqual(["counted"]);
    run.pass(13);
    expect(run.add(["c", 2])).toEqual(["counted"]);
    expect(run.take()).toEqual([
      "k [0, 10) correction 2: ab by row 0",
      "k [0, 10) correction 3: abc by row 0",
    ]);
    run.pass(14);
    expect(run.sizes).toEqual(NOTHING);
    expect(run.add(["d", 4])).toEqual(["late [0, 10)"]);
    expect([run.take(), run.sizes]).toEqual([[], NOTHING]);
  });

  test("section 4: an event for a closed window that held nothing is its final", () => {
    const run = tumbling({ lateness: 5 });
    run.pass(9);
    expect(run.add(["a", 3], ["b", 4], ["x", 5, "other"])).toEqual(Array(3).fill("counted"));
    expect(run.take()).toEqual([
      "k [0, 10) final 1: a by row 0",
      "k [0, 10) correction 2: ab by row 1",
      "other [0, 10) final 1: x by row 2",
    ]);
    expect(run.operator.nextDue).toBe(14);
    run.pass(14);
    expect([run.take(), run.sizes]).toEqual([[], NOTHING]);
  });

  test("E1: windows close in the order of their starts, keys in that of their first event", () => {
    const run = tumbling();
    run.add(["a", 25, "y"], ["b", 15, "z"], ["c", -5, "y"], ["d", 15, "x"], ["e", 25, "a"]);
    run.add(["f", 15, "z"], ["g", 35, "z"], ["h", 25, "z"]);
    expect(run.operator.nextDue).toBe(-1);
    run.pass(30);
    expect(run.take()).toEqual([
      "y [-10, 0) final 1: c",
      "z [10, 20) final 1: bf",
      "x [10, 20) final 1: d",
      "y [20, 30) final 1: a",
      "a [20, 30) final 1: e",
      "z [20, 30) final 1: h",
    ]);
    expect(run.operator.nextDue).toBe(39);
    expect(run.sizes).toEqual({ keys: 1, windows: 1, slots: 1 });
  });

  test("one window closes while another expires and a third stays open", () => {
    const run = tumbling({ lateness: 10 });
    run.add(["a", 1], ["b", 11], ["c", 21]);
    run.pass(9);
    expect(run.operator.nextDue).toBe(19);
    run.pass(19);
    expect(run.take()).toEqual(["k [0, 10) final 1: a", "k [10, 20) final 1: b"]);
    expect([run.operator.windows, run.operator.nextDue]).toEqual([2, 29]);
    expect(run.add(["d", 2], ["e", 12], ["f", 22])).toEqual(["late [0, 10)", "counted", "counted"]);
    expect(run.take()).toEqual(["k [10, 20) correction 2: be by row 1"]);
    run.pass(100);
    expect(run.take()).toEqual(["k [20, 30) final 1: cf"]);
    expect(run.sizes).toEqual(NOTHING);
  });

  test("a correction holds all events of its batch up to its own, in log order", () => {
    const run = tumbling({ lateness: 50 });
    run.add(["a", 3]);
    run.pass(9);
    run.add(["b", 12], ["c", 4], ["d", 13], ["e", 5]);
    run.pass(19);
    expect(run.take()).toEqual([
      "k [0, 10) final 1: a",
      "k [0, 10) correction 2: ac by row 1",
      "k [0, 10) correction 3: ace by row 3",
      "k [10, 20) final 1: bd",
    ]);
  });

  test("an event counts in each of its windows, whichever came before it", () => {
    const run = runOf(new HoppingWindows(15, 10, 0));
    // -3 is in [-10, 5) alone; 3 is in that one and in [0, 15); 7 in [0, 15) alone.
    run.add(["a", -3], ["b", 3], ["c", -3], ["d", 7], ["e", 3], ["f", 12]);
    expect(run.operator.windows).toBe(3);
    run.pass(100);
    expect(run.take()).toEqual([
      "k [-10, 5) final 1: abce",
      "k [0, 15) final 1: bdef",
      "k [10, 25) final 1: f",
    ]);
  });

  test("section 4: an event counts in those of its windows that have not expired", () => {
    const run = runOf(new HoppingWindows(20, 10, 0));
    run.pass(9);
    expect(run.add(["a", 5])).toEqual(["counted"]);
    expect(run.operator.windows).toBe(1);
    run.pass(18);
    expect(run.add(["b", 5])).toEqual(["counted"]);
    run.pass(19);
    expect(run.add(["c", 5])).toEqual(["late [0, 20)"]);
    expect(run.take()).toEqual(["k [0, 20) final 1: ab"]);
  });

  test("an event in a gap between windows is not late, however old it is", () => {
    const run = runOf(new HoppingWindows(5, 10, 0));
    run.pass(1_000);
    expect(run.add(["a", 7], ["b", 1_007], ["c", 4])).toEqual([
      "no window",
      "no window",
      "late [0, 5)",
    ]);
    expect(run.sizes).toEqual(NOTHING);
  });

  describe("early updates", () => {
    test("are of what changed since it was last published, in the order of change", () => {
      const run = tumbling({ early: true });
      run.add(["a", 15, "x"], ["b", 5, "y"], ["c", 15, "z"], ["d", 15, "x"]);
      run.early();
      run.early();
      expect(run.take()).toEqual([
        "x [10, 20) early 1: ad",
        "y [0, 10) early 1: b",
        "z [10, 20) early 1: c",
      ]);
      run.add(["e", 15, "z"], ["f", 16, "x"]);
      run.early();
      expect(run.take()).toEqual(["z [10, 20) early 2: ce", "x [10, 20) early 2: adf"]);
      run.pass(50);
      run.early();
      expect(run.take()).toEqual([
        "y [0, 10) final 2: b",
        "x [10, 20) final 3: adf",
        "z [10, 20) final 3: ce",
      ]);
    });

    test("are not of what a final or a correction has published", () => {
      const run = tumbling({ early: true, lateness: 5 });
      run.add(["a", 5], ["b", 15]);
      run.pass(9);
      run.add(["c", 6]);
      run.early();
      expect(run.take()).toEqual([
        "k [0, 10) final 1: a",
        "k [0, 10) correction 2: ac by row 0",
        "k [10, 20) early 1: b",
      ]);
    });

    test("are none where only finals are wanted", () => {
      const run = tumbling();
      run.add(["a", 5]);
      run.early();
      expect(run.take()).toEqual([]);
    });

    test("by events come at every so many of a window since it was last published", () => {
      const run = tumbling({ early: true, everyEvents: 3 });
      run.add(["a", 1], ["b", 2, "x"], ["c", 3], ["d", 11], ["e", 4], ["f", 5]);
      expect(run.take()).toEqual(["k [0, 10) early 1: ace"]);
      run.add(["g", 12]);
      run.add(["h", 6], ["i", 7]);
      expect(run.take()).toEqual(["k [0, 10) early 2: acefhi"]);
      // What is published for another reason counts from there.
      run.early();
      expect(run.take()).toEqual(["x [0, 10) early 1: b", "k [10, 20) early 1: dg"]);
      run.add(["j", 13], ["l", 14]);
      expect(run.take()).toEqual([]);
      run.add(["m", 15], ["n", 1]);
      expect(run.take()).toEqual(["k [10, 20) early 2: dgjlm"]);
      run.early();
      expect(run.take()).toEqual(["k [0, 10) early 3: acefhin"]);
    });
  });

  describe("where code of the user's accumulates", () => {
    test("an event that it refuses changes no window", () => {
      const run = runOf(new HoppingWindows(20, 10, 0), { tries: true });
      const refused = "aggregates.short.add threw RangeError: not a letter";
      expect(run.add(["a", 15], ["!", 15], ["b", 16])).toEqual(["counted", refused, "counted"]);
      expect(run.add(["!", 115])).toEqual([refused]);
      expect(run.store.size).toBe(2);
      run.pass(29);
      expect(run.take()).toEqual(["k [0, 20) final 1: ab ab", "k [10, 30) final 1: ab ab"]);
    });

    test("an event that it refuses in one window counts in none", () => {
      const run = runOf(new HoppingWindows(20, 10, 0), { tries: true });
      run.add(["a", 25], ["b", 25], ["c", 26], ["d", 25]);
      // [10, 30) holds four and can take no more; [0, 20) could.
      expect(run.add(["e", 15])).toEqual([
        "aggregates.short.result threw RangeError: abcde is too long",
      ]);
      expect(run.add(["f", 15, "x"])).toEqual(["counted"]);
      run.pass(29);
      expect(run.take()).toEqual([
        "x [0, 20) final 1: f f",
        "k [10, 30) final 1: abcd abcd",
        "x [10, 30) final 1: f f",
      ]);
    });

    test("each event sees those of its batch before it", () => {
      const run = tumbling({ tries: true, lateness: 10 });
      run.add(["a", 1], ["b", 2]);
      run.pass(9);
      const full = "aggregates.short.result threw RangeError: abcde is too long";
      expect(run.add(["c", 3], ["d", 4], ["e", 5])).toEqual(["counted", "counted", full]);
      expect(run.take()).toEqual([
        "k [0, 10) final 1: ab ab",
        "k [0, 10) correction 2: abc abc by row 0",
        "k [0, 10) correction 3: abcd abcd by row 1",
      ]);
    });
  });

  describe("that code of the user's assigns", () => {
    const custom = (assign: AssignWindows, settings?: Settings) =>
      runOf(new CustomWindows(assign, 3), settings);
    const outcomesOf = (run: OperatorRun, ...events: readonly LetterEvent[]) => run.add(...events);

    test("Z2: another end for the start of a live window is refused, and the same one is not", () => {
      const run = custom((time) => [
        [0, time < 5 ? 10 : 20],
        [1, 30],
      ]);
      expect(outcomesOf(run, ["a", 1], ["b", 7], ["c", 2])).toEqual([
        "counted",
        "window.assign returned [0, 20), but of an earlier event [0, 10): a start has one end",
        "counted",
      ]);
      run.pass(9);
      // The window is gone, and with it its end.
      expect(outcomesOf(run, ["d", 15])).toEqual(["counted"]);
      run.pass(50);
      expect(run.take()).toEqual([
        "k [0, 10) final 1: ac",
        "k [0, 20) final 1: d",
        "k [1, 30) final 1: acd",
      ]);
    });

    test("Z2: so is one for the last start of several", () => {
      let end = 30;
      const run = custom(() => [
        [0, 20],
        [2, end],
      ]);
      outcomesOf(run, ["a", 5]);
      end = 40;
      expect(outcomesOf(run, ["b", 5])).toEqual([
        "window.assign returned [2, 40), but of an earlier event [2, 30): a start has one end",
      ]);
    });

    test("the first start does not tell the others", () => {
      let second = 5;
      const run = custom(() => [
        [0, 20],
        [second, 30],
      ]);
      outcomesOf(run, ["a", 10]);
      second = 6;
      outcomesOf(run, ["b", 10]);
      run.pass(50);
      expect(run.take()).toEqual([
        "k [0, 20) final 1: ab",
        "k [5, 30) final 1: a",
        "k [6, 30) final 1: b",
      ]);
    });

    test("a late event's window is the one that expired last, even if it started first", () => {
      const run = custom(() => [
        [0, 100],
        [10, 20],
      ]);
      run.pass(200);
      expect(outcomesOf(run, ["a", 15])).toEqual(["late [0, 100)"]);
    });

    test("an event that it gives no window, or no sound one, costs that event", () => {
      const run = custom((time) => (time < 0 ? [] : [[time + 1, time + 2]]));
      expect(outcomesOf(run, ["a", -1], ["b", 5])).toEqual([
        "no window",
        "window.assign returned [6, 7), which does not hold the event's time",
      ]);
    });
  });
});
