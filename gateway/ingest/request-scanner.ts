/**
 * Finds the topic and the events of a publish request, by offset. All three requests look alike on
 * the wire: topic = 1, events (or event) = 2.
 *
 * R1. Never throws, and allocates nothing while `starts` is long enough.
 * R2. Protobuf's rules: fields in any order, the last topic wins, unknown fields are skipped.
 * R3. Events beyond the limit are counted but not kept.
 * R4. An event's own bytes are not looked at: a broken event must not cost its neighbours.
 */
import { readVarint, skipField, varintHigh, varintLow } from "../../actors/kernel/wire.ts";

const TOPIC = 0x0a;
const EVENT = 0x12;

export class RequestScanner {
  topicStart = 0;
  topicEnd = 0;
  /** How many events the request has; only the first `limit` have a place in the columns. */
  count = 0;
  starts: Int32Array;
  ends: Int32Array;
  /** Why `scan` returned false. */
  problem = "";
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
    this.starts = new Int32Array(Math.min(limit, 1024));
    this.ends = new Int32Array(Math.min(limit, 1024));
  }

  scan(bytes: Uint8Array): boolean {
    const end = bytes.length;
    this.topicStart = this.topicEnd = 0;
    this.count = 0;
    let at = 0;
    while (at < end) {
      const fieldStart = at;
      let tag = bytes[at];
      let value = at + 1;
      if (tag > 127) {
        value = readVarint(bytes, at, end);
        if (value < 0 || varintHigh !== 0) return this.#malformed(fieldStart, "a broken tag");
        tag = varintLow;
      }
      const number = tag >>> 3;
      if (number === 0) return this.#malformed(fieldStart, "field number 0");
      if (number > 2) {
        at = skipField(bytes, value, end, tag & 7);
        if (at < 0) return this.#malformed(fieldStart, `field ${number} is broken or cut off`);
        continue;
      }
      if (tag !== TOPIC && tag !== EVENT) {
        return this.#malformed(fieldStart, `field ${number} has wire type ${tag & 7}, not 2`);
      }
      const start = readVarint(bytes, value, end);
      if (start < 0 || varintHigh !== 0 || varintLow > end - start) {
        return this.#malformed(fieldStart, `field ${number} is longer than the request`);
      }
      at = start + varintLow;
      if (tag === TOPIC) {
        this.topicStart = start;
        this.topicEnd = at;
        continue;
      }
      if (this.count < this.#limit) {
        if (this.count === this.starts.length) this.#grow();
        this.starts[this.count] = start;
        this.ends[this.count] = at;
      }
      this.count++;
    }
    return true;
  }

  #malformed(at: number, what: string): boolean {
    this.problem = `malformed Protobuf at byte ${at}: ${what}`;
    return false;
  }

  #grow(): void {
    const capacity = Math.min(this.#limit, this.starts.length * 2);
    const starts = new Int32Array(capacity);
    const ends = new Int32Array(capacity);
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }
}
