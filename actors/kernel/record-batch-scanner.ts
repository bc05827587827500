/**
 * Finds the events of a RecordBatch and the fields of their envelopes, by offset.
 *
 * K1. Never throws: an event that cannot be read gets a row with an error, and a batch that breaks
 *     off gives one such row for its unreadable rest, so every byte is accounted for.
 * K2. Protobuf's rules: fields in any order, the last of a repeated singular field wins, unknown
 *     fields are skipped.
 */
import { readVarint, skipField, varintHigh, varintLow, varintSigned, WIRE_BYTES } from "./wire.ts";

/** The range of times that events may have: what calendars can express. */
export const EVENT_TIME_MAX = 8.64e15;

export class RecordBatchScanner {
  count = 0;
  ingestTime = 0;
  /** NaN when the batch is no tick. */
  tickTime = Number.NaN;
  /** Where `RecordBatch.rekeyed` lies; both 0 where there is none. */
  rekeyedStart = 0;
  rekeyedEnd = 0;
  eventStarts = new Int32Array(1024);
  eventEnds = new Int32Array(1024);
  idStarts = new Int32Array(1024);
  idEnds = new Int32Array(1024);
  typeIndexes = new Int32Array(1024);
  keyStarts = new Int32Array(1024);
  keyEnds = new Int32Array(1024);
  dataStarts = new Int32Array(1024);
  dataEnds = new Int32Array(1024);
  eventTimes = new Float64Array(1024);
  readonly errors = new Map<number, string>();
  readonly #typeNames: readonly Uint8Array[];

  constructor(typeNames: readonly string[]) {
    const encoder = new TextEncoder();
    this.#typeNames = typeNames.map((name) => encoder.encode(name));
  }

  scan(bytes: Uint8Array): void {
    this.#locate(bytes);
    for (let row = 0; row < this.count; row++) this.#envelope(bytes, row);
  }

  /** First pass: where each event lies, and the fields of the batch itself. */
  #locate(bytes: Uint8Array): void {
    const end = bytes.length;
    this.count = 0;
    this.ingestTime = 0;
    this.tickTime = Number.NaN;
    this.rekeyedStart = this.rekeyedEnd = 0;
    this.errors.clear();
    let at = 0;
    while (at < end) {
      const fieldStart = at;
      const value = readVarint(bytes, at, end);
      const tag = varintLow;
      if (value < 0 || varintHigh !== 0) return this.#broken(fieldStart, end);
      at = skipField(bytes, value, end, tag & 7);
      if (at < 0) return this.#broken(fieldStart, end);
      if (tag === 0x08) {
        readVarint(bytes, value, end);
        this.ingestTime = varintSigned();
      } else if (tag === 0x12) {
        const start = readVarint(bytes, value, end);
        if (this.count === this.eventStarts.length) this.#grow();
        this.eventStarts[this.count] = start;
        this.eventEnds[this.count] = at;
        this.count++;
      } else if (tag === 0x1a) {
        this.#tick(bytes, readVarint(bytes, value, end), at);
      } else if (tag === 0x22) {
        this.rekeyedStart = readVarint(bytes, value, end);
        this.rekeyedEnd = at;
      }
    }
  }

  #tick(bytes: Uint8Array, start: number, end: number): void {
    this.tickTime = 0;
    let at = start;
    while (at >= 0 && at < end) {
      const value = readVarint(bytes, at, end);
      if (value < 0) return;
      const tag = varintLow;
      at = skipField(bytes, value, end, tag & 7);
      if (at >= 0 && tag === 0x08) {
        readVarint(bytes, value, end);
        this.tickTime = varintSigned();
      }
    }
  }

  /** The rest of the batch as one row that says so. */
  #broken(start: number, end: number): void {
    if (this.count === this.eventStarts.length) this.#grow();
    this.eventStarts[this.count] = start;
    this.eventEnds[this.count] = end;
    this.errors.set(this.count, "the record batch is malformed from here on");
    this.count++;
  }

  #envelope(bytes: Uint8Array, row: number): void {
    this.idStarts[row] = this.idEnds[row] = 0;
    this.keyStarts[row] = this.keyEnds[row] = 0;
    this.dataStarts[row] = this.dataEnds[row] = 0;
    this.typeIndexes[row] = -1;
    this.eventTimes[row] = Number.NaN;
    if (this.errors.has(row)) return;
    const end = this.eventEnds[row]!;
    let at = this.eventStarts[row]!;
    let typeSeen = false;
    let dataField = 0;
    while (at < end) {
      let tag = bytes[at]!;
      let value = at + 1;
      if (tag > 127) {
        value = readVarint(bytes, at, end);
        if (value < 0 || varintHigh !== 0) return this.#fail(row, "malformed field tag");
        tag = varintLow;
      }
      if ((tag & 7) === WIRE_BYTES) {
        let length = value < end ? bytes[value]! : 255;
        let start = value + 1;
        if (length > 127) {
          start = readVarint(bytes, value, end);
          if (start < 0 || varintHigh !== 0) return this.#fail(row, "malformed field length");
          length = varintLow;
        }
        at = start + length;
        if (at > end) return this.#fail(row, "a field is longer than its event");
        switch (tag) {
          case 0x0a:
            this.idStarts[row] = start;
            this.idEnds[row] = at;
            break;
          case 0x12:
            typeSeen = true;
            this.typeIndexes[row] = this.#typeIndex(bytes, start, at);
            break;
          case 0x1a:
            this.keyStarts[row] = start;
            this.keyEnds[row] = at;
            break;
          case 0x2a:
          case 0x32:
            dataField = tag;
            this.dataStarts[row] = start;
            this.dataEnds[row] = at;
            break;
        }
      } else {
        at = skipField(bytes, value, end, tag & 7);
        if (at < 0) return this.#fail(row, "malformed field");
        if (tag === 0x20) {
          readVarint(bytes, value, end);
          this.eventTimes[row] = varintSigned();
        }
      }
    }
    const time = this.eventTimes[row]!;
    if (this.idStarts[row] === this.idEnds[row]) this.#fail(row, "id: missing");
    else if (!typeSeen) this.#fail(row, "type: missing");
    else if (this.typeIndexes[row]! < 0) this.#fail(row, "type: not a type of this topic");
    else if (!(Math.abs(time) <= EVENT_TIME_MAX)) {
      this.#fail(row, Number.isNaN(time) ? "event_time: missing" : "event_time: out of range");
    } else if (dataField !== 0x2a) this.#fail(row, "data: not Protobuf");
  }

  #fail(row: number, error: string): void {
    this.errors.set(row, error);
  }

  #typeIndex(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    for (let index = 0; index < this.#typeNames.length; index++) {
      const name = this.#typeNames[index]!;
      if (name.length !== length) continue;
      let i = 0;
      while (i < length && bytes[start + i] === name[i]) i++;
      if (i === length) return index;
    }
    return -1;
  }

  #grow(): void {
    const grow = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(column.length * 2);
      grown.set(column);
      return grown;
    };
    this.eventStarts = grow(this.eventStarts);
    this.eventEnds = grow(this.eventEnds);
    this.idStarts = grow(this.idStarts);
    this.idEnds = grow(this.idEnds);
    this.typeIndexes = grow(this.typeIndexes);
    this.keyStarts = grow(this.keyStarts);
    this.keyEnds = grow(this.keyEnds);
    this.dataStarts = grow(this.dataStarts);
    this.dataEnds = grow(this.dataEnds);
    const times = new Float64Array(this.eventTimes.length * 2);
    times.set(this.eventTimes);
    this.eventTimes = times;
  }
}
