import { expect, it } from "vitest";
import { coloured, paintFor, plain } from "./colour.ts";
import * as format from "./format.ts";
import { Progress, renderProgress } from "./progress.ts";
import { renderTable } from "./table.ts";

it("uses colours on a terminal, and not when NO_COLOR says so", () => {
  expect(paintFor({}, true)).toBe(coloured);
  expect(paintFor({}, false)).toBe(plain);
  expect(paintFor({ NO_COLOR: "1" }, true)).toBe(plain);
  expect(paintFor({ NO_COLOR: "" }, true)).toBe(coloured);
  expect(paintFor({ TERM: "dumb" }, true)).toBe(plain);
});

it("aligns columns, coloured cells too", () => {
  const table = (paint: typeof plain) =>
    renderTable(
      [{ header: "origin" }, { header: "departures", align: "right" }, { header: "state" }],
      [
        ["ORD", "166,341", { text: "ok", style: "green" }],
        ["a-long-name", "1", { text: "behind", style: "yellow" }],
      ],
      paint,
    );
  expect(table(plain)).toBe(
    [
      "origin       departures  state",
      "ORD             166,341  ok",
      "a-long-name           1  behind",
      "",
    ].join("\n"),
  );
  expect(table(coloured)).toContain("166,341  \x1b[32mok\x1b[0m\n");
});

it.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_234, "1.2 s"],
  [59_400, "59 s"],
  [184_000, "3 min 04 s"],
  [7_500_000, "2 h 05 min"],
  [273_600_000, "3 d 4 h"],
])("writes a duration of %i ms as %s", (ms, text) => {
  expect(format.duration(ms)).toBe(text);
});

it("writes counts, times and sizes", () => {
  expect(format.count(3_000_000)).toBe("3,000,000");
  expect(format.counted(1, "window")).toBe("1 window");
  expect(format.counted(0, "window")).toBe("0 windows");
  expect(format.time(978_307_260_000)).toBe("2001-01-01 00:01:00");
  expect(format.time(978_307_260_001)).toBe("2001-01-01 00:01:00.001");
  expect(format.bytes(512)).toBe("512 bytes");
  expect(format.bytes(1_572_864)).toBe("1.5 MiB");
});

it("shows share, count, rate and estimate", () => {
  const view = { label: "Sending", unit: "events", done: 750_000, total: 3_000_000 };
  expect(renderProgress({ ...view, perSecond: 250_000 }, false)).toBe(
    "Sending   25 %  750,000 of 3,000,000 events  250,000 events/s  ETA 9.0 s",
  );
  expect(renderProgress({ ...view, perSecond: 0 }, true)).toContain("███████░░░");
});

/** A progress on a clock that the test moves, and what it wrote. */
const watched = (isTerminal: boolean) => {
  const written: string[] = [];
  let now = 0;
  const output = {
    isTerminal,
    columns: 120,
    paint: plain,
    write: (text: string) => void written.push(text),
  };
  const progress = new Progress({
    output,
    label: "Sending",
    unit: "events",
    total: 100,
    now: () => now,
  });
  return { written, progress, at: (ms: number) => (now = ms) };
};

it("writes a line every few seconds where there is no terminal", () => {
  const { written, progress, at } = watched(false);
  for (let second = 0; second <= 11; second++) {
    at(second * 1_000);
    progress.update(second);
  }
  at(20_000);
  progress.update(100);
  progress.finish();
  expect(written.map((line) => line.slice(0, 25))).toEqual([
    "Sending    5 %  5 of 100 ",
    "Sending   10 %  10 of 100",
    "Sending  100 %  100 of 10",
    "Sending  100 %  100 of 10",
  ]);
});

it("redraws one line on a terminal, ten times a second at most", () => {
  const { written, progress, at } = watched(true);
  for (let ms = 0; ms < 1_000; ms++) {
    at(ms);
    progress.update(ms / 10);
  }
  progress.finish();
  expect(written.length).toBe(12);
  expect(
    written.slice(0, -1).every((text) => text.startsWith("\r") && text.endsWith("\x1b[K")),
  ).toBe(true);
  expect(written.at(-1)).toBe("\n");
});
