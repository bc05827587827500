import { describe, expect, it } from "vitest";
import {
  commitMessage,
  commitOf,
  entriesOf,
  promotionMessage,
  recordOf,
  updateOf,
} from "./commits.suite.ts";
import type { Message } from "./commits.suite.ts";
import { updatesOf } from "./result-entry.ts";
import type { CommitEntry } from "./result-entry.ts";
import { RecentEntries } from "./recent-entries.ts";

const part = (number: number, partIndex: number, partCount: number, over = {}): Message =>
  commitMessage(
    commitOf(number, [updateOf(`k${partIndex}`, 0, 1)], { partIndex, partCount, ...over }),
  );

const shown = (messages: readonly Message[]): string[] =>
  entriesOf(messages.map((message, i) => recordOf(i + 1, message))).map((entry) =>
    entry.kind === "commit"
      ? `${entry.sequence}: commit ${entry.number}${entry.whole ? "" : " in part"}, ${entry.updates}`
      : `${entry.sequence}: ${entry.kind}`,
  );

describe("entries", () => {
  it("are whole commits, however many parts they have, and promotions", () => {
    expect(
      shown([
        part(1, 0, 1),
        part(2, 0, 3),
        part(2, 1, 3),
        part(2, 2, 3),
        promotionMessage("departures", 2),
        part(3, 0, 1),
      ]),
    ).toEqual(["1: commit 1, 1", "4: commit 2, 3", "5: promotion", "6: commit 3, 1"]);
  });

  it("wait for the last part", () => {
    expect(shown([part(1, 0, 2)])).toEqual([]);
  });

  it("say so when first parts are missing", () => {
    expect(shown([part(1, 1, 3), part(1, 2, 3)])).toEqual(["2: commit 1 in part, 2"]);
    expect(shown([part(1, 0, 3), part(1, 2, 3)])).toEqual(["2: commit 1 in part, 1"]);
  });

  it("are not made of parts whose last one was never stored: their owner commits the same again", () => {
    expect(shown([part(1, 0, 2), part(1, 0, 1)])).toEqual(["2: commit 1, 1"]);
    expect(shown([part(1, 0, 3), part(1, 1, 3), part(1, 0, 1), part(2, 0, 1)])).toEqual([
      "3: commit 1, 1",
      "4: commit 2, 1",
    ]);
    expect(shown([part(1, 0, 2), part(1, 1, 2, { partition: 1 })])).toEqual([
      "2: commit 1 in part, 1",
    ]);
    expect(shown([part(1, 0, 2), promotionMessage("departures", 2)])).toEqual(["2: promotion"]);
  });

  it("take the names of values from the part before when a part has none", () => {
    const messages = [part(1, 0, 2, { columns: ["a"] }), part(1, 1, 2, { columns: [] })];
    const [entry] = entriesOf(messages.map((message, i) => recordOf(i + 1, message)));
    const columns = Array.from(updatesOf(entry as CommitEntry), (update) => update.columns);
    expect(columns).toEqual([["a"], ["a"]]);
  });

  it("cannot be read when they claim another subject than their own", () => {
    const { data } = promotionMessage("departures", 2);
    expect(shown([{ subject: "control.arrivals", data }])).toEqual(["1: unreadable"]);
  });
});

describe("recent entries", () => {
  const entries = Array.from(
    { length: 5_000 },
    (_, i) => entriesOf([recordOf(3 * i + 3, part(1, 0, 1))])[0]!,
  );
  const size = entries[0]!.bytes;

  it("N1: finds what comes after a sequence, there or not", () => {
    const recent = new RecentEntries(Infinity, 0);
    expect(recent.after(0)).toBeUndefined();
    recent.add(entries);
    expect(recent.after(0)?.sequence).toBe(3);
    expect(recent.after(3)?.sequence).toBe(6);
    expect(recent.after(4)?.sequence).toBe(6);
    expect(recent.after(15_000)).toBeUndefined();
    expect(recent.since).toBe(0);
  });

  it("N2: forget the oldest, and say from where on they hold all", () => {
    const recent = new RecentEntries(10 * size, 0);
    for (const entry of entries) recent.add([entry]);
    expect(recent.since).toBe(entries.at(-11)!.sequence);
    expect(recent.after(recent.since)).toBe(entries.at(-10));
    recent.reset(99_999);
    expect(recent.since).toBe(99_999);
    expect(recent.after(99_999)).toBeUndefined();
  });

  it("N2: hold nothing when one entry is larger than the bound", () => {
    const recent = new RecentEntries(size - 1, 0);
    recent.add(entries.slice(0, 1));
    expect([recent.since, recent.after(3)]).toEqual([3, undefined]);
  });
});
