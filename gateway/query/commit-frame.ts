/**
 * A Commit's outer fields and where its updates lie, read in place: the view takes in tens of
 * thousands of updates a second and needs of each only its key, window, kind and revision. The bytes
 * of an update go to the store as they are; ts-proto decodes them when somebody asks.
 *
 * F1. Agrees with `Commit.decode` and `Update.decode` on every field that both know, in any order of
 *     fields, the last of a repeated singular one winning.
 * F2. Malformed bytes throw MalformedCommit, at once: every update of a frame can be read.
 */
import * as wire from "../../actors/kernel/wire.ts";

export class MalformedCommit extends Error {
  override readonly name = "MalformedCommit";
}

export interface CommitFrame {
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  readonly number: number;
  readonly partIndex: number;
  /** At least 1. */
  readonly partCount: number;
  readonly watermark: number | undefined;
  readonly idle: boolean;
  readonly columns: readonly string[];
  readonly data: Uint8Array;
  /** Start and end of each update in `data`, alternating. */
  readonly updates: readonly number[];
}

/** What is read of one update; the same object is filled again and again. */
export class UpdateHead {
  keyStart = 0;
  keyEnd = 0;
  startHigh = 0;
  startLow = 0;
  endHigh = 0;
  endLow = 0;
  kind = 0;
  revision = 0;
  ordinal = 0;

  read(data: Uint8Array, start: number, end: number): void {
    this.keyStart = this.keyEnd = start;
    this.startHigh = this.startLow = this.endHigh = this.endLow = 0;
    this.kind = this.revision = this.ordinal = 0;
    let at = start;
    while (at < end) {
      const value = wire.readVarint(data, at, end);
      const tag = value < 0 ? 0 : wire.varintLow;
      at = tag === 0 ? -1 : wire.skipField(data, value, end, tag & 7);
      if (at < 0) throw new MalformedCommit("an update of the commit breaks off");
      switch (tag) {
        case 0x0a:
          this.keyStart = at - wire.varintLow;
          this.keyEnd = at;
          break;
        case 0x10:
          this.startHigh = wire.varintHigh | 0;
          this.startLow = wire.varintLow;
          break;
        case 0x18:
          this.endHigh = wire.varintHigh | 0;
          this.endLow = wire.varintLow;
          break;
        case 0x20:
          this.kind = wire.varintLow;
          break;
        case 0x28:
          this.revision = wire.varintLow;
          break;
        case 0x58:
          this.ordinal = wire.varintLow;
          break;
      }
    }
  }
}

export const readCommitFrame = (data: Uint8Array): CommitFrame => {
  const end = data.length;
  const columns: string[] = [];
  const updates: number[] = [];
  const head = new UpdateHead();
  const frame = {
    projection: "",
    version: 0,
    partition: 0,
    number: 0,
    partIndex: 0,
    partCount: 1,
    watermark: undefined as number | undefined,
    idle: false,
    columns,
    data,
    updates,
  };
  let at = 0;
  while (at < end) {
    const value = wire.readVarint(data, at, end);
    const tag = value < 0 ? 0 : wire.varintLow;
    at = tag === 0 ? -1 : wire.skipField(data, value, end, tag & 7);
    if (at < 0) throw new MalformedCommit("the commit breaks off");
    switch (tag) {
      case 0x0a:
        frame.projection = text(data, at);
        break;
      case 0x10:
        frame.version = wire.varintLow;
        break;
      case 0x18:
        frame.partition = wire.varintLow;
        break;
      case 0x28:
        frame.number = wire.varintUnsigned();
        break;
      case 0x30:
        frame.partIndex = wire.varintLow;
        break;
      case 0x38:
        frame.partCount = Math.max(1, wire.varintLow);
        break;
      case 0x48:
        frame.watermark = wire.varintSigned();
        break;
      case 0x50:
        frame.idle = wire.varintLow !== 0 || wire.varintHigh !== 0;
        break;
      case 0xa2:
        columns.push(text(data, at));
        break;
      case 0xaa:
        updates.push(at - wire.varintLow, at);
        head.read(data, at - wire.varintLow, at);
        break;
    }
  }
  return frame;
};

/** The string that ends at `end` and whose length was the last varint. */
const text = (data: Uint8Array, end: number): string =>
  Buffer.from(data.buffer, data.byteOffset + end - wire.varintLow, wire.varintLow).toString("utf8");
