/**
 * A walk through the results of one version, by key, then by window start, in small steps: between
 * two steps other work may run, and no cursor stays open.
 *
 * R1. A step goes on exactly after the row where the last one stopped.
 * R2. Windows outside the asked times are jumped over, not read.
 */
import { ROWS_A_TURN_MAX } from "./limits.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { rowWindowStart, seekNextKey, seekStart } from "./row-key.ts";
import type { KeyRange } from "./row-key.ts";
import { rowIsLive } from "./result-row.ts";

export interface RowQuery {
  readonly projection: string;
  readonly version: number;
  readonly keyPrefix: string;
  /** Windows that start at or after. */
  readonly from: number | undefined;
  /** Windows that start before. */
  readonly to: number | undefined;
}

type ReadRange = (
  range: KeyRange,
  exclusiveStart: boolean,
) => Iterable<{ readonly key: Buffer; readonly value: Buffer }>;

export class RowScan {
  /** The row where the walk stands; a new walk of the same query can begin after it. */
  last: Buffer | undefined;
  done = false;
  visited = 0;
  /** Bytes of the rows that were returned. */
  bytes = 0;
  readonly #query: RowQuery;
  readonly #range: KeyRange;
  readonly #end: Buffer;
  readonly #read: ReadRange;
  readonly #decode: (row: Buffer) => Result;
  #start: Buffer;
  #exclusive = false;

  constructor(query: RowQuery, range: KeyRange, read: ReadRange, decode: (row: Buffer) => Result) {
    this.#query = query;
    this.#range = range;
    this.#start = range.start;
    this.#end = range.end;
    this.#read = read;
    this.#decode = decode;
  }

  /** Begins after a row, which must be one of this query's. */
  goOnAfter(row: Buffer): boolean {
    const { start, end } = this.#range;
    if (Buffer.compare(row, start) < 0 || Buffer.compare(row, end) >= 0) return false;
    this.last = this.#start = row;
    this.#exclusive = true;
    return true;
  }

  /** False when nothing follows; true when something does, or when that takes long to find out. */
  hasMore(): boolean {
    if (this.done) return false;
    const ahead = new RowScan(this.#query, this.#range, this.#read, this.#decode);
    ahead.#start = this.#start;
    ahead.#exclusive = this.#exclusive;
    return ahead.step(ROWS_A_TURN_MAX, 1).length > 0 || !ahead.done;
  }

  /** Visits at most `rows` rows, and stops at `results` results or once `bytes` is reached. */
  step(rows: number, results: number, bytes = Infinity): Result[] {
    const found: Result[] = [];
    const until = this.visited + rows;
    const enough = () => this.visited >= until || found.length >= results || this.bytes >= bytes;
    while (!this.done && !enough()) {
      if (!this.#run(enough, found)) this.done = true;
    }
    return found;
  }

  /** False when the range is at its end; true when it stopped or has to jump. */
  #run(enough: () => boolean, found: Result[]): boolean {
    const { from, to } = this.#query;
    const range = { start: this.#start, end: this.#end };
    for (const { key, value } of this.#read(range, this.#exclusive)) {
      this.visited++;
      this.last = this.#start = key;
      this.#exclusive = true;
      const start = rowWindowStart(key);
      if (from !== undefined && start < from) return this.#jump(seekStart(key, from));
      if (to !== undefined && start >= to) return this.#jump(seekNextKey(key));
      if (rowIsLive(value)) {
        this.bytes += value.length;
        found.push(this.#decode(value));
      }
      if (enough()) return true;
    }
    return false;
  }

  #jump(to: Buffer): true {
    this.#start = to;
    this.#exclusive = false;
    return true;
  }
}
