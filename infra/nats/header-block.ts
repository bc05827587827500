/**
 * Headers written in one go. The client's own builder keeps a map of arrays and searches it for every
 * value; a batch of 1,000 messages feels that.
 */
import type { MsgHdrs } from "nats";

const lineBreak = /[\r\n]/;

class HeaderBlock {
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  /** All that the client asks of the headers of a message that it sends. */
  encode(): Uint8Array {
    return this.#bytes;
  }
}

/** A line break in a value would be the start of another header: that is a programmer's error. */
export const headerBlock = (
  headers: Iterable<readonly [name: string, value: string | number]>,
): MsgHdrs => {
  let block = "NATS/1.0\r\n";
  for (const [name, value] of headers) {
    if (lineBreak.test(`${value}`)) {
      throw new RangeError(`the value of header ${name} contains a line break`);
    }
    block += `${name}: ${value}\r\n`;
  }
  return new HeaderBlock(Buffer.from(`${block}\r\n`, "utf8")) as unknown as MsgHdrs;
};
