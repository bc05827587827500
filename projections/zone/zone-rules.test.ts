import fc from "fast-check";
import { expect, test } from "vitest";
import { Mistakes } from "../definition/reading.ts";
import { checkZone, CYCLE_MS, zoneRules, type ZoneRules } from "./zone-rules.ts";

const DAY_MS = 86_400_000;
const iso = (time: number): string => new Date(time).toISOString();
const minutes = (ms: number): number => ms / 60_000;

const offsetIn = ({ starts, offsets, cycleEnd }: ZoneRules, time: number): number => {
  const at =
    time < cycleEnd ? time : time - (Math.floor((time - cycleEnd) / CYCLE_MS) + 1) * CYCLE_MS;
  return offsets[starts.findLastIndex((start) => start <= at)]!;
};

/** What local clocks show, asked in another way than the table was made: field by field. */
const naiveOffset = (zone: string): ((time: number) => number) => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (time) => {
    const part = Object.fromEntries(format.formatToParts(time).map((p) => [p.type, p.value]));
    const number = (name: string) => Number(part[name]);
    const year = part["era"] === "BC" ? 1 - number("year") : number("year");
    const local = new Date(0);
    local.setUTCFullYear(year, number("month") - 1, number("day"));
    local.setUTCHours(number("hour"), number("minute"), number("second"));
    return local.getTime() - Math.floor(time / 1000) * 1000;
  };
};

const changesBetween = (zone: string, from: string, to: string): string[] => {
  const { starts, offsets } = zoneRules(zone);
  return [...starts].flatMap((start, at) => {
    if (start < Date.parse(from) || start >= Date.parse(to)) return [];
    return `${iso(start)} ${minutes(offsets[at - 1]!)} -> ${minutes(offsets[at]!)}`;
  });
};

test("knows when clocks change", () => {
  expect(changesBetween("Europe/Berlin", "2024-01-01", "2025-01-01")).toEqual([
    "2024-03-31T01:00:00.000Z 60 -> 120",
    "2024-10-27T01:00:00.000Z 120 -> 60",
  ]);
  expect(changesBetween("Australia/Lord_Howe", "2024-01-01", "2025-01-01")).toEqual([
    "2024-04-06T15:00:00.000Z 660 -> 630",
    "2024-10-05T15:30:00.000Z 630 -> 660",
  ]);
  expect(changesBetween("Pacific/Apia", "2011-12-01", "2012-01-01")).toEqual([
    "2011-12-30T10:00:00.000Z -600 -> 840",
  ]);
  expect(changesBetween("Africa/Monrovia", "1900-01-01", "1980-01-01").at(-1)).toBe(
    "1972-01-07T00:44:30.000Z -44.5 -> 0",
  );
  expect(zoneRules("UTC").starts).toEqual(Float64Array.of(Number.NEGATIVE_INFINITY));
});

const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "America/Sao_Paulo",
  "America/St_Johns",
  "America/Juneau",
  "Africa/Casablanca",
  "Africa/Cairo",
  "Asia/Gaza",
  "Asia/Tehran",
  "Asia/Calcutta",
  "Australia/Lord_Howe",
  "Antarctica/Troll",
  "Pacific/Apia",
  "Pacific/Chatham",
  "America/Santiago",
  "UTC",
];

test("R1, R2: the table is what the runtime says, at any time", () => {
  const naive = new Map(ZONES.map((zone) => [zone, naiveOffset(zone)]));
  const near = fc.integer({ min: Date.UTC(1850, 0), max: Date.UTC(2200, 0) });
  const far = fc.integer({ min: -8.64e15 + DAY_MS, max: 8.64e15 - DAY_MS });
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), fc.oneof(near, far), (zone, time) => {
      expect(offsetIn(zoneRules(zone), time)).toBe(naive.get(zone)!(time));
    }),
    { numRuns: 2_000 },
  );
});

test("R2: to the second around every change of the next centuries", () => {
  for (const zone of ["Europe/Berlin", "America/Santiago"]) {
    const naive = naiveOffset(zone);
    const rules = zoneRules(zone);
    for (const start of rules.starts.filter((each) => each >= Date.UTC(2095, 0))) {
      for (const time of [start - 1, start, start + CYCLE_MS - 1, start + CYCLE_MS]) {
        expect(offsetIn(rules, time), `${zone} ${iso(time)}`).toBe(naive(time));
      }
    }
  }
});

test("R3: a scan by day finds no change that the table does not have", () => {
  // In 2000 Brazil had summer time of a week, in 1943 and 1944 armies set the clocks.
  const spans = [
    ["America/Boa_Vista", 2000, 2001],
    ["America/Noronha", 2000, 2001],
    ["Africa/Tunis", 1943, 1944],
    ["Europe/Riga", 1944, 1945],
    ["Asia/Gaza", 2023, 2030],
  ] as const;
  for (const [zone, from, to] of spans) {
    const naive = naiveOffset(zone);
    const rules = zoneRules(zone);
    for (let time = Date.UTC(from, 0, 1, 7); time < Date.UTC(to, 0); time += DAY_MS) {
      if (offsetIn(rules, time) !== naive(time)) expect.fail(`${zone} ${iso(time)}`);
    }
  }
});

test("a digest stands for the rules of one zone", () => {
  expect(zoneRules("Europe/Berlin").digest).toMatch(/^[0-9a-f]{16}$/);
  expect(zoneRules("Asia/Kolkata").digest).toBe(zoneRules("Asia/Calcutta").digest);
  expect(new Set(ZONES.map((zone) => zoneRules(zone).digest)).size).toBe(ZONES.length);
});

test("a zone that does not exist is an error that says what was meant", () => {
  const mistake = (zone: unknown): string | undefined => {
    const mistakes = new Mistakes();
    const checked = checkZone(zone, "zone", mistakes);
    expect(checked === undefined).toBe(mistakes.list.length === 1);
    return mistakes.list[0]?.message;
  };
  for (const zone of ["Europe/Berlin", "UTC", "Asia/Kolkata", "Etc/GMT-3"]) {
    expect(mistake(zone)).toBeUndefined();
  }
  expect(mistake("Europe/Berlinn")).toBe(
    'there is no time zone "Europe/Berlinn"; did you mean "Europe/Berlin"?',
  );
  expect(mistake("europe/berlin")).toBe(
    'there is no time zone "europe/berlin"; did you mean "Europe/Berlin"?',
  );
  expect(mistake("Berlin")).toContain('did you mean "Europe/Berlin"?');
  expect(mistake("+01:00")).toContain('there is no time zone "+01:00"');
  expect(mistake("")).toContain('there is no time zone ""');
  expect(mistake(3)).toBe("must be text, not 3");
  expect(mistake(undefined)).toContain("in which time zone?");
});
