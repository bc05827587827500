/**
 * A small table that is part of a definition: rows by key, written in place or in a file. Expressions
 * look columns up in it; see `lookup()`.
 *
 * L1. A plan holds the rows as they were when it was made. Its digest covers them, so that a table
 *     that changed never goes on from old state.
 */
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { callerFolder } from "./caller-folder.ts";
import type { ExpressionType } from "./expression.ts";

/** What a row holds; a column that a row leaves out is null there. */
export type LookupCell = string | number | boolean | null;
/** By the row's key, then by column. */
export type LookupRows = Readonly<Record<string, Readonly<Record<string, LookupCell>>>>;

export type LookupTableDefinition =
  | { readonly rows: LookupRows }
  | {
      /** A .json file of such rows, or a .csv file with the names of its columns in its first line. */
      readonly file: string;
      /** Of a .csv file: the column that is the key. Default: the first. */
      readonly key?: string;
    };

export const LOOKUP_ROWS_MAX = 100_000;
export const LOOKUP_COLUMNS_MAX = 100;
export const LOOKUP_FILE_BYTES_MAX = 16 * 1024 * 1024;

export interface LookupColumn {
  readonly type: ExpressionType;
  /** In the order of the table's keys. */
  readonly cells: readonly LookupCell[];
}

/** The rows of a plan. All that it shows as data is its digest. */
export class LookupTable {
  readonly digest: string;
  readonly #keys: readonly string[];
  readonly #columns: ReadonlyMap<string, LookupColumn>;

  constructor(digest: string, keys: readonly string[], columns: ReadonlyMap<string, LookupColumn>) {
    this.digest = digest;
    this.#keys = keys;
    this.#columns = columns;
  }

  get keys(): readonly string[] {
    return this.#keys;
  }

  get columns(): ReadonlyMap<string, LookupColumn> {
    return this.#columns;
  }
}

/**
 * A table for `lookup()`: rows by key, `lookupTable({ LAX: { city: "Los Angeles" } })`, or the path of a .json
 * or .csv file, relative to the file in which this is called. The file is read when the projection is
 * planned.
 */
export const lookupTable = (
  source: LookupRows | string | URL,
  options: { /** Of a .csv file. Default: its first column. */ readonly key?: string } = {},
): LookupTableDefinition => {
  if (typeof source === "object" && !(source instanceof URL)) return { rows: source };
  const path = source instanceof URL ? fileURLToPath(source) : source;
  const folder = callerFolder(lookupTable);
  const file = folder === undefined || isAbsolute(path) ? path : resolve(folder, path);
  return { file, ...options };
};
