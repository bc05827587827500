import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkExpression } from "./check-expression.ts";
import { parseCsv } from "./csv.ts";
import type { LookupExpression } from "./expression.ts";
import { event, field, lookup } from "./field-expression.ts";
import { resolveLookupFiles } from "./lookup-files.ts";
import { LOOKUP_ROWS_MAX, lookupTable, type LookupTable } from "./lookup-table.ts";
import type { FieldSchema } from "./plan.ts";
import { Mistakes } from "./reading.ts";

const schema = (name: string, scalar: FieldSchema["scalar"], number: number): FieldSchema => ({
  number,
  name,
  scalar,
  repeated: false,
  optional: false,
});
const scope = () => ({
  types: [
    {
      name: "Flight",
      fields: [
        schema("origin", "string", 1),
        schema("gate", "int32", 2),
        schema("fuel", "double", 3),
        schema("late", "bool", 4),
      ],
    },
  ],
  columns: new Map(),
});

const check = (expression: unknown, withScope = true) => {
  const mistakes = new Mistakes();
  const checked = checkExpression(expression, "where", mistakes, withScope ? scope() : undefined);
  return { checked, mistakes: mistakes.list.map(({ path, message }) => `${path}: ${message}`) };
};
const data = (expression: object): unknown => JSON.parse(JSON.stringify(expression));
const tableOf = (expression: unknown): LookupTable => {
  const { checked, mistakes } = check(expression);
  expect(mistakes).toEqual([]);
  return (checked!.expression as LookupExpression).lookup as LookupTable;
};

let folder = "";
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-lookup-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const AIRPORTS = {
  LAX: { city: "Los Angeles", runways: 4, altitude: 38.7, hub: true },
  JFK: { city: "New York", runways: 4, altitude: 4, hub: null },
  XNA: { runways: 2 },
};

describe("a lookup", () => {
  it("is data, and typed by the table's columns", () => {
    const city = lookup(AIRPORTS, field("origin")).field("city");
    expect(data(city)).toEqual({
      lookup: { rows: AIRPORTS },
      key: { field: "origin" },
      column: "city",
    });
    const typeOf = (column: string) =>
      check(data(lookup(AIRPORTS, field("origin")).field(column))).checked?.type;
    expect(["city", "runways", "altitude", "hub"].map(typeOf)).toEqual([
      "string",
      "integer",
      "double",
      "boolean",
    ]);
  });

  it("has operators as fields have, and may be a key of another lookup", () => {
    const zone = lookup(
      { "New York": { zone: -5 } },
      lookup(AIRPORTS, field("origin")).field("city"),
    ).field("zone");
    expect(check(data(zone.lt(0))).checked?.type).toBe("boolean");
    expect(check(data(zone.eq("x"))).mistakes).toEqual([
      'where: cannot compare lookup(lookup(origin).city).zone, an integer, with "x", a string',
    ]);
  });

  it("takes rows whose keys look like a definition for rows", () => {
    const rows = { rows: { zone: 1 }, file: { zone: 2 } };
    expect(data(lookup(rows, field("origin")).field("zone"))).toMatchObject({ lookup: { rows } });
    const one = { rows: { zone: 1 } };
    expect(data(lookup(one, field("origin")).field("zone"))).toMatchObject({
      lookup: { rows: one },
    });
  });

  it("has a digest of its rows, whatever their order", () => {
    const at = (rows: object) => tableOf({ lookup: { rows }, key: { event: "key" }, column: "a" });
    const table = at({ x: { a: 1, b: "u" }, y: { a: 2 } });
    expect(Object.entries(table)).toEqual([["digest", table.digest]]);
    expect(at({ y: { a: 2 }, x: { b: "u", a: 1 } }).digest).toBe(table.digest);
    expect(at({ x: { a: 1, b: "u" }, y: { a: 3 } }).digest).not.toBe(table.digest);
    expect(at({ x: { a: 1, b: "u" }, z: { a: 2 } }).digest).not.toBe(table.digest);
    expect(at({ x: { a: 1, c: "u" }, y: { a: 2 } }).digest).not.toBe(table.digest);
  });
});

describe("a file", () => {
  it("of CSV has typed columns; what is empty is null", () => {
    const path = write(
      "airports.csv",
      'iata,city,runways,altitude,hub,zip,big\r\nLAX,"Los ""City"", of Angels",4,38.5,true,01234,1\n' +
        "JFK,,2,4,,10001,9007199254740993\n\n",
    );
    const table = tableOf(data(lookup(lookupTable(path), field("origin")).field("city")));
    expect(table.keys).toEqual(["LAX", "JFK"]);
    expect(Object.fromEntries(table.columns)).toEqual({
      city: { type: "string", cells: ['Los "City", of Angels', null] },
      runways: { type: "integer", cells: [4, 2] },
      altitude: { type: "double", cells: [38.5, 4] },
      hub: { type: "boolean", cells: [true, null] },
      zip: { type: "string", cells: ["01234", "10001"] },
      big: { type: "string", cells: ["1", "9007199254740993"] },
    });
  });

  it("of CSV may have its key in any column", () => {
    const path = write("gates.csv", "city,gate\nBoston,1\nAustin,-2\n");
    const gates = lookupTable(path, { key: "gate" });
    expect(tableOf(data(lookup(gates, field("gate")).field("city"))).keys).toEqual(["1", "-2"]);
    const odd = lookup(lookupTable(path, { key: "gaet" }), field("gate")).field("city");
    expect(check(data(odd)).mistakes).toEqual([
      `where.lookup.file: "${path}" has no column "gaet"; did you mean "gate"?`,
    ]);
  });

  it("of JSON holds rows by key, and gives the digest of the same rows in place", () => {
    const path = write("airports.json", JSON.stringify(AIRPORTS));
    const key = { field: "origin" };
    expect(tableOf({ lookup: { file: path }, key, column: "city" }).digest).toBe(
      tableOf({ lookup: { rows: AIRPORTS }, key, column: "city" }).digest,
    );
  });

  it("is read when the projection is planned, not before", () => {
    const missing = { lookup: { file: "/nowhere/x.csv" }, key: { event: "key" }, column: "a" };
    expect(check(missing, false).mistakes).toEqual([]);
    expect(check(missing).mistakes).toEqual([
      'where.lookup.file: there is no file "/nowhere/x.csv"',
    ]);
  });

  it("is found beside the module that names it, and beside the JSON that does", () => {
    expect(lookupTable("./x.csv")).toEqual({ file: join(import.meta.dirname, "x.csv") });
    const inner = { lookup: { file: "x.csv" }, key: { event: "key" }, column: "a" };
    const given = { where: { op: "not", args: [inner] }, made: new Date(0) };
    const resolved = resolveLookupFiles(given, "/project");
    expect(resolved.where.args).toEqual([
      { ...inner, lookup: { file: join("/project", "x.csv") } },
    ]);
    expect(resolved.made).toBe(given.made);
    const without = { where: { op: "not", args: [{ field: "x" }] } };
    expect(resolveLookupFiles(without, "/project")).toBe(without);
  });
});

describe("mistakes", () => {
  const key = { field: "origin" };
  const rows = { LAX: { city: "x" }, 7: { city: "y" } };

  it.each([
    [
      { lookup: { rows }, key, column: "ctiy" },
      'where.column: the table has no column "ctiy"; did you mean "city"?',
    ],
    [
      { lookup: { rows }, key: { field: "gate" }, column: "city" },
      'where.key: is an integer, but the table has the key "LAX"',
    ],
    [
      { lookup: { rows: { true: { a: 1 }, 7: { a: 1 } } }, key: { field: "late" }, column: "a" },
      'where.key: is a boolean, but the table has the key "7"',
    ],
    [
      { lookup: { rows }, key: { field: "fuel" }, column: "city" },
      "where.key: cannot be a double: look up by a string, an integer or a boolean",
    ],
    [
      { lookup: { rows: { a: { n: 1 }, b: { n: "one" } } }, key, column: "n" },
      'where.lookup.rows.b.n: is "one", but other rows have numbers there',
    ],
    [
      { lookup: { rows: { a: { n: [1] } } }, key, column: "n" },
      "where.lookup.rows.a.n: must be a number, text, true, false or null, not a list",
    ],
    [
      { lookup: { rows: { a: { n: 2 ** 60 } } }, key, column: "n" },
      `where.lookup.rows.a.n: must be a number within 2^53, where all are exact, not ${2 ** 60}`,
    ],
    [{ lookup: { rows: {} }, key, column: "n" }, "where.lookup.rows: has no rows"],
    [{ lookup: {}, key, column: "n" }, 'where.lookup: must have either "rows" or a "file"'],
    [
      { lookup: { file: "x.xlsx" }, key, column: "n" },
      'where.lookup.file: must end in .json or .csv, not "x.xlsx"',
    ],
    [
      { lookup: { rows, key: "a" }, key, column: "city" },
      "where.lookup.key: only a .csv file has it",
    ],
    [
      { field: "origin", side: "left" },
      "where.side: only values of a join have sides; leave it out",
    ],
  ])("%j", (expression, told) => {
    expect(check(expression).mistakes).toEqual([told]);
  });

  it("too many rows", () => {
    const many = Object.fromEntries(
      Array.from({ length: LOOKUP_ROWS_MAX + 1 }, (_, i) => [String(i), { a: 1 }]),
    );
    expect(check({ lookup: { rows: many }, key, column: "a" }).mistakes).toEqual([
      "where.lookup.rows: has 100001 rows; a table may have 100000. Join with a stream of larger ones",
    ]);
  });

  it.each([
    ["a,b\nx,1\nx,2\n", 'line 3: the key "x" was in line 2 already'],
    ["a,b\nx,1,2\n", "line 2: 3 values for 2 columns"],
    ["a,b\n,1\n", "line 2: the key is empty"],
  ])("in the lines of a file: %j", (text, told) => {
    const file = write("odd.csv", text);
    expect(check({ lookup: { file }, key, column: "b" }).mistakes).toEqual([
      `where.lookup.file: "${file}", ${told}`,
    ]);
  });

  it("in the quotes of a file", () => {
    const file = write("quotes.csv", 'a,b\n"x,1\n');
    expect(check({ lookup: { file }, key: { event: "key" }, column: "b" }).mistakes).toEqual([
      `where.lookup.file: "${file}" cannot be read: line 2: a quote is never closed`,
    ]);
  });
});

it("reads any CSV that was written by the rules", () => {
  const fieldText = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", " ", "é") });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  fc.assert(
    fc.property(
      fc.array(fc.array(fieldText, { minLength: 2, maxLength: 4 }), { maxLength: 5 }),
      fc.constantFrom("\n", "\r\n"),
      (records, end) => {
        const text = records.map((record) => record.map(quoted).join(",") + end).join("");
        expect(parseCsv(text).map(({ fields }) => fields)).toEqual(records);
      },
    ),
  );
});

it("takes parts of the event as keys", () => {
  expect(check(data(lookup({ a: { n: 1 } }, event.key).field("n"))).checked?.type).toBe("integer");
});
