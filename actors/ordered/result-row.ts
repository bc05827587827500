/**
 * Results of one turn, encoded as they are emitted, and handed to the draft once the turn is over: by
 * then nothing of them can fail.
 */
import type { OutputColumn } from "../../projections/definition/plan.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import type { ValueColumn } from "../task/draft-writer.ts";
import { EMISSIONS_OF_TURN_MAX, RESULT_BYTES_MAX, TurnRefused } from "./limits.ts";
import { writeOutputValue } from "./output-value.ts";
import type { OutputValue } from "./output-value.ts";

export class ResultRows {
  count = 0;
  /** Windows, by row. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly #columns: readonly OutputColumn[];
  readonly #bytes = new ByteWriter(1024);
  /** Where the value of each column of each row ends in `#bytes`. */
  readonly #valueEnds: number[] = [];

  constructor(columns: readonly OutputColumn[]) {
    this.#columns = columns;
  }

  /** What the draft writes: the slot of each is a row. */
  get values(): readonly ValueColumn[] {
    const width = this.#columns.length;
    return this.#columns.map((_, column) => ({
      writeValue: (row, out) => {
        const at = row * width + column;
        const start = at === 0 ? 0 : this.#valueEnds[at - 1]!;
        out.raw(this.#bytes.bytes, start, this.#valueEnds[at]!);
      },
    }));
  }

  clear(): void {
    this.count = 0;
    this.#bytes.reset();
  }

  /** Throws TurnRefused for what cannot be published: then there is no such row. */
  add(start: number, end: number, values: readonly OutputValue[]): void {
    const before = this.#bytes.length;
    try {
      this.#encode(values);
    } catch (error) {
      this.#bytes.length = before;
      throw error;
    }
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count++;
  }

  #encode(values: readonly OutputValue[]): void {
    if (this.count === EMISSIONS_OF_TURN_MAX) {
      throw new TurnRefused(`it emits more than ${EMISSIONS_OF_TURN_MAX} results at once`);
    }
    const width = this.#columns.length;
    if (values.length !== width) {
      throw new TurnRefused(`a result has ${width} values, not ${values.length}`);
    }
    const before = this.#bytes.length;
    for (let column = 0; column < width; column++) {
      writeOutputValue(values[column]!, this.#columns[column]!, this.#bytes);
      this.#valueEnds[this.count * width + column] = this.#bytes.length;
    }
    const size = this.#bytes.length - before;
    if (size > RESULT_BYTES_MAX) {
      throw new TurnRefused(`a result of ${size} bytes; ${RESULT_BYTES_MAX} are the limit`);
    }
  }
}
