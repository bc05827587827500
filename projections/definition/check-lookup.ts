/**
 * Checks the table of a lookup and reads its rows. A file is read only with a scope: when a projection
 * is planned, not when it is written down.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { extname, isAbsolute } from "node:path";
import type { CheckedExpression, Scope } from "./check-expression.ts";
import { parseCsv } from "./csv.ts";
import type { ExpressionType, LookupExpression } from "./expression.ts";
import {
  LOOKUP_COLUMNS_MAX,
  LOOKUP_FILE_BYTES_MAX,
  LOOKUP_ROWS_MAX,
  LookupTable,
  type LookupCell,
  type LookupColumn,
  type LookupTableDefinition,
} from "./lookup-table.ts";
import { at, shown, type Fields, type Mistakes } from "./reading.ts";

const WHOLE = /^-?(0|[1-9]\d*)$/;

/** Tables that were read for a scope: a table that several expressions name is read once. */
const tablesOf = new WeakMap<Scope, Map<unknown, LookupTable | undefined>>();

/** The lookup with its table's rows; `key` is checked already. Mistakes say the rest. */
export const checkLookup = (
  given: Fields,
  key: CheckedExpression | undefined,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): CheckedExpression | undefined => {
  const table = checkTable(given["lookup"], at(path, "lookup"), mistakes, scope);
  const column = mistakes.text(given["column"], at(path, "column"));
  if (table === undefined || column === undefined || key === undefined) return undefined;
  const expression: LookupExpression = { lookup: table, key: key.expression, column };
  if (!(table instanceof LookupTable)) return { expression, type: undefined };
  checkKeyType(table, key.type, at(path, "key"), mistakes);
  const known = table.columns.get(column);
  if (known === undefined) {
    const message = `the table has no column ${shown(column)}`;
    return mistakes.unknownName(
      at(path, "column"),
      message,
      column,
      table.columns.keys(),
      "columns",
    );
  }
  return { expression, type: known.type };
};

/** Every key of the table must be one that the expression can give. */
const checkKeyType = (
  table: LookupTable,
  type: ExpressionType | undefined,
  path: string,
  mistakes: Mistakes,
): void => {
  if (type === "double") {
    mistakes.add(path, "cannot be a double: look up by a string, an integer or a boolean");
  } else if (type === "integer") {
    const odd = table.keys.find((key) => !WHOLE.test(key) || !Number.isSafeInteger(Number(key)));
    if (odd === undefined) return;
    mistakes.add(path, `is an integer, but the table has the key ${shown(odd)}`);
  } else if (type === "boolean") {
    const odd = table.keys.find((key) => key !== "true" && key !== "false");
    if (odd !== undefined) {
      mistakes.add(path, `is a boolean, but the table has the key ${shown(odd)}`);
    }
  }
};

const checkTable = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): LookupTableDefinition | LookupTable | undefined => {
  const definition = checkDefinition(value, path, mistakes);
  if (definition === undefined || scope === undefined) {
    // Rows in place are looked at in any case: who writes them down learns at once what is wrong.
    if (definition === undefined || "file" in definition) return definition;
    return readRows(definition.rows, at(path, "rows"), mistakes) && definition;
  }
  const tables = tablesOf.get(scope) ?? new Map<unknown, LookupTable | undefined>();
  tablesOf.set(scope, tables);
  if (!tables.has(value)) {
    tables.set(
      value,
      "file" in definition
        ? readFile(definition.file, definition.key, at(path, "file"), mistakes)
        : readRows(definition.rows, at(path, "rows"), mistakes),
    );
  }
  return tables.get(value);
};

const checkDefinition = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
): LookupTableDefinition | undefined => {
  const given = mistakes.object(value, path, ["rows", "file", "key"]);
  if (given === undefined) return undefined;
  const { rows, file, key } = given;
  if ((rows === undefined) === (file === undefined)) {
    return mistakes.add(path, 'must have either "rows" or a "file"');
  }
  if (rows !== undefined) {
    if (key !== undefined) mistakes.add(at(path, "key"), "only a .csv file has it");
    return mistakes.record(rows, at(path, "rows")) && (value as LookupTableDefinition);
  }
  const name = mistakes.text(file, at(path, "file"));
  if (name === undefined) return undefined;
  const extension = extname(name);
  if (extension !== ".json" && extension !== ".csv") {
    return mistakes.add(at(path, "file"), `must end in .json or .csv, not ${shown(name)}`);
  }
  if (key === undefined) return { file: name };
  if (extension === ".json") {
    return mistakes.add(
      at(path, "key"),
      "only a .csv file has it; JSON rows stand under their keys",
    );
  }
  const keyColumn = mistakes.text(key, at(path, "key"));
  return keyColumn === undefined ? undefined : { file: name, key: keyColumn };
};

const readFile = (
  file: string,
  key: string | undefined,
  path: string,
  mistakes: Mistakes,
): LookupTable | undefined => {
  const where = isAbsolute(file) ? "" : ", looked for in the working directory";
  try {
    const { size } = statSync(file);
    if (size > LOOKUP_FILE_BYTES_MAX) {
      const most = LOOKUP_FILE_BYTES_MAX / 1024 / 1024;
      return mistakes.add(path, `${shown(file)} has ${size} bytes; a table may have ${most} MiB`);
    }
    const text = readFileSync(file, "utf8");
    return extname(file) === ".json"
      ? readRows(JSON.parse(text), path, mistakes)
      : readCsv(text, file, key, path, mistakes);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "ENOENT") {
      return mistakes.add(path, `there is no file ${shown(file)}${where}`);
    }
    return mistakes.add(path, `${shown(file)} cannot be read: ${(error as Error).message}`);
  }
};

const readRows = (value: unknown, path: string, mistakes: Mistakes): LookupTable | undefined => {
  const rows = mistakes.record(value, path);
  if (rows === undefined) return undefined;
  const before = mistakes.list.length;
  const keys = Object.keys(rows);
  if (!checkSize(keys.length, path, mistakes)) return undefined;
  const cells = new Map<string, LookupCell[]>();
  keys.forEach((key, index) => {
    const row = mistakes.record(rows[key], at(path, key));
    for (const [name, cell] of Object.entries(row ?? {})) {
      if (cell === undefined || !isCell(cell, at(at(path, key), name), mistakes)) continue;
      let column = cells.get(name);
      if (column === undefined) {
        column = new Array<LookupCell>(keys.length).fill(null);
        cells.set(name, column);
      }
      column[index] = cell;
    }
  });
  const columns = new Map<string, LookupColumn>();
  for (const [name, column] of cells) {
    const type = typeOfCells(column, (index) => at(at(path, keys[index]!), name), mistakes);
    if (type !== undefined) columns.set(name, { type, cells: column });
  }
  return mistakes.list.length > before ? undefined : makeTable(keys, columns, path, mistakes);
};

const checkSize = (rows: number, path: string, mistakes: Mistakes): boolean => {
  if (rows === 0) mistakes.add(path, "has no rows");
  else if (rows > LOOKUP_ROWS_MAX) {
    mistakes.add(
      path,
      `has ${rows} rows; a table may have ${LOOKUP_ROWS_MAX}. Join with a stream of larger ones`,
    );
  } else return true;
  return false;
};

const isCell = (cell: unknown, path: string, mistakes: Mistakes): cell is LookupCell => {
  if (cell === null || typeof cell === "string" || typeof cell === "boolean") return true;
  if (typeof cell !== "number") {
    mistakes.add(path, `must be a number, text, true, false or null, not ${shown(cell)}`);
  } else if (Number.isFinite(cell) && (!Number.isInteger(cell) || Number.isSafeInteger(cell))) {
    return true;
  } else mistakes.add(path, `must be a number within 2^53, where all are exact, not ${cell}`);
  return false;
};

const OTHERS: Readonly<Record<ExpressionType, string>> = {
  string: "text",
  integer: "numbers",
  double: "numbers",
  boolean: "true or false",
};

/** One type for a column: whole numbers are integers unless another number is not whole. */
const typeOfCells = (
  cells: readonly LookupCell[],
  pathOf: (index: number) => string,
  mistakes: Mistakes,
): ExpressionType | undefined => {
  let type: ExpressionType | undefined;
  for (const [index, cell] of cells.entries()) {
    if (cell === null) continue;
    const own =
      typeof cell === "number"
        ? Number.isInteger(cell)
          ? "integer"
          : "double"
        : (typeof cell as "string" | "boolean");
    const numeric = typeof cell === "number" && (type === "integer" || type === "double");
    if (type === undefined) type = own;
    else if (numeric) type = type === "double" ? "double" : own;
    else if (type !== own) {
      return mistakes.add(
        pathOf(index),
        `is ${shown(cell)}, but other rows have ${OTHERS[type]} there`,
      );
    }
  }
  return type ?? "string";
};

/** A column of text is numbers or booleans if all that it holds reads as such; empty is null. */
const readCsv = (
  text: string,
  file: string,
  key: string | undefined,
  path: string,
  mistakes: Mistakes,
): LookupTable | undefined => {
  const [head, ...records] = parseCsv(text);
  const names = head?.fields.map((name) => name.trim()) ?? [];
  const keyIndex = key === undefined ? 0 : names.indexOf(key);
  if (keyIndex === -1) {
    const message = `${shown(file)} has no column ${shown(key)}`;
    return mistakes.unknownName(path, message, key!, names, "columns");
  }
  if (!checkSize(records.length, path, mistakes)) return undefined;
  const lineOf = new Map<string, number>();
  for (const { line, fields } of records) {
    const own = fields[keyIndex] ?? "";
    const twice = lineOf.get(own);
    if (fields.length !== names.length) {
      return mistakes.add(
        path,
        `${shown(file)}, line ${line}: ${fields.length} values for ${names.length} columns`,
      );
    }
    if (own === "") return mistakes.add(path, `${shown(file)}, line ${line}: the key is empty`);
    if (twice !== undefined) {
      const message = `line ${line}: the key ${shown(own)} was in line ${twice} already`;
      return mistakes.add(path, `${shown(file)}, ${message}`);
    }
    lineOf.set(own, line);
  }
  const columns = new Map<string, LookupColumn>();
  names.forEach((name, index) => {
    if (index === keyIndex) return;
    columns.set(name, typedColumn(records.map(({ fields }) => fields[index]!)));
  });
  return makeTable([...lineOf.keys()], columns, path, mistakes);
};

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

const typedColumn = (texts: readonly string[]): LookupColumn => {
  const held = texts.filter((text) => text !== "");
  const as = (type: ExpressionType, read: (text: string) => LookupCell): LookupColumn => ({
    type,
    cells: texts.map((text) => (text === "" ? null : read(text))),
  });
  if (held.length === 0) return as("string", String);
  if (held.every((text) => WHOLE.test(text) && Number.isSafeInteger(Number(text)))) {
    return as("integer", Number);
  }
  // A whole number too large to be exact keeps its column text.
  if (held.every((text) => NUMBER.test(text) && Number.isFinite(Number(text)))) {
    const exact = held.every((text) => !WHOLE.test(text) || Number.isSafeInteger(Number(text)));
    return exact ? as("double", Number) : as("string", String);
  }
  if (held.every((text) => text === "true" || text === "false")) {
    return as("boolean", (text) => text === "true");
  }
  return as("string", String);
};

const makeTable = (
  keys: readonly string[],
  columns: ReadonlyMap<string, LookupColumn>,
  path: string,
  mistakes: Mistakes,
): LookupTable | undefined => {
  if (columns.size > LOOKUP_COLUMNS_MAX) {
    return mistakes.add(
      path,
      `has ${columns.size} columns; a table may have ${LOOKUP_COLUMNS_MAX}`,
    );
  }
  const hash = createHash("sha256");
  const order = keys.map((_, index) => index).sort((a, b) => (keys[a]! < keys[b]! ? -1 : 1));
  hash.update(JSON.stringify(order.map((index) => keys[index])));
  for (const name of [...columns.keys()].sort()) {
    const { type, cells } = columns.get(name)!;
    hash.update(JSON.stringify([name, type, order.map((index) => cells[index])]));
  }
  return new LookupTable(hash.digest("hex"), keys, columns);
};
