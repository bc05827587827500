/** What waits for its time: in which order it leaves, and what it costs while it waits. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { EventBuffer } from "./event-buffer.ts";
import { HeldBytes } from "./held-bytes.ts";
import { TimeLists } from "./time-lists.ts";

/** Times that are equal, near, and of one remainder in the table of lists. */
const time = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.constantFrom(-8, -16, 8, 16, 24, 2 ** 32 + 8, 2 ** 52 + 16),
);
const steps = fc.array(fc.oneof(fc.record({ time }), fc.constant("shift" as const)), {
  maxLength: 120,
});

test("L1: slots leave by time, those of one time in the order in which they came", () => {
  fc.assert(
    fc.property(steps, (given) => {
      let capacity = 8;
      const lists = new TimeLists(capacity);
      let model: { time: number; slot: number }[] = [];
      const free: number[] = [];
      let end = 0;
      for (const step of given) {
        if (step === "shift") {
          const first = model.shift();
          if (first === undefined) continue;
          expect(lists.least).toBe(first.time);
          expect(lists.first).toBe(first.slot);
          expect(lists.shift()).toBe(first.slot);
          free.push(first.slot);
        } else {
          const slot = free.pop() ?? end++;
          if (slot === capacity) lists.grow((capacity *= 2));
          lists.append(slot, step.time);
          // Sorting is stable.
          model = [...model, { time: step.time, slot }].sort((a, b) => a.time - b.time);
        }
        const seen: { time: number; slot: number }[] = [];
        lists.forEach((slot, at) => seen.push({ time: at, slot }));
        expect(seen).toEqual(model);
      }
      expect(lists.least).toBe(model[0]?.time ?? Number.POSITIVE_INFINITY);
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("H1: blocks take no more than twice what is held, once what is held has been moved", () => {
  const held = new HeldBytes();
  const blocks = Array.from({ length: 40 }, () => {
    held.begin();
    return held.hold(new Uint8Array(100_000), 100);
  });
  expect(held.live).toBe(4_000);
  expect(held.wasteful).toBe(true);
  expect(held.compact().bytes).toHaveLength(4_000);
  expect(held.wasteful).toBe(false);
  expect(blocks).toHaveLength(40);
});

test("H1: a block from which all have left counts for nothing, and again when it is held again", () => {
  const held = new HeldBytes();
  const source = new Uint8Array(3 * 1024 * 1024);
  const block = held.hold(source, 10);
  expect(held.wasteful).toBe(true);
  held.release(block, 10);
  expect(held.wasteful).toBe(false);
  expect(held.hold(source, 10)).toBe(block);
  expect(held.wasteful).toBe(true);
});

/** As much of a batch as the buffer reads: events of 20 bytes at the end of `size` bytes. */
const batchOf = (sequence: number, times: readonly number[], size: number): EventBatch => {
  const bytes = new Uint8Array(size).map((_, i) => (i * 7 + sequence) & 255);
  const starts = times.map((_, i) => size - 20 * (i + 1));
  return {
    sequence,
    ingestTime: 1_000 + sequence,
    bytes,
    eventTimes: Float64Array.from(times),
    eventStarts: Int32Array.from(starts),
    eventEnds: Int32Array.from(starts, (start) => start + 20),
  } as unknown as EventBatch;
};

const codec = {
  writeEvent: (event: number, out: ByteWriter) => out.varint(event),
  readEvent: (from: ByteReader) => from.varint(),
};

const make = () => {
  const keys = new KeyTable();
  return { keys, buffer: new EventBuffer<number>(keys, 3, codec) };
};

const KEY = Buffer.from("key");

test("what waits for long is moved out of its batches, and is what it was", () => {
  const { keys, buffer } = make();
  const kept: string[] = [];
  // Of each large batch, one event waits for long.
  for (let sequence = 1; sequence <= 60; sequence++) {
    const batch = batchOf(sequence, [1_000_000 - sequence, sequence], 100_000);
    buffer.begin();
    for (const row of [0, 1])
      buffer.push(batch, row, keys.intern(KEY, 0, KEY.length), row, batch.eventTimes[row]!);
    kept.unshift(Buffer.from(batch.bytes.subarray(-20)).toString("hex"));
    batch.bytes.fill(0);
    expect(buffer.first.sequence).toBe(sequence);
    buffer.shift();
  }
  expect(buffer.size).toBe(60);
  expect(buffer.bytes).toBe(1_200);
  const blocks = new Set<Uint8Array>();
  for (const [i, hex] of kept.entries()) {
    const { first, firstBytes, firstStart, firstEnd } = buffer;
    blocks.add(firstBytes);
    expect(first.origin).toEqual({
      source: 0,
      partition: 3,
      sequence: 60 - i,
      index: 0,
      ingestTime: 1_060 - i,
    });
    expect(Buffer.from(first.encoded).toString("hex")).toBe(hex);
    expect(Buffer.from(firstBytes.subarray(firstStart, firstEnd)).toString("hex")).toBe(hex);
    buffer.shift();
  }
  expect(buffer.digest).toEqual({ low: 0, high: 0 });
  expect(buffer.bytes).toBe(0);
  const size = [...blocks].reduce((sum, { length }) => sum + length, 0);
  // What came since the last time that it was moved is up to a MiB, and a batch.
  expect(size).toBeLessThan(1024 * 1024 + 2 * 100_000);
});

test("B1, B2: a buffer that was written and read again is the same", () => {
  const { keys, buffer } = make();
  for (let sequence = 1; sequence <= 3; sequence++) {
    buffer.begin();
    const batch = batchOf(sequence, [7, 5, 7, 6], 200);
    for (let row = 0; row < 4; row++) {
      buffer.push(batch, row, keys.intern(KEY, 0, KEY.length), row, batch.eventTimes[row]!);
    }
  }
  const out = new ByteWriter();
  buffer.write(out);
  const other = make();
  other.buffer.read(new ByteReader(out.finish()));
  expect(other.buffer.digest).toEqual(buffer.digest);
  expect(other.buffer.bytes).toBe(buffer.bytes);
  const again = new ByteWriter();
  other.buffer.write(again);
  expect(again.finish()).toEqual(out.finish());
  while (buffer.size > 0) {
    expect(other.buffer.first).toEqual(buffer.first);
    expect(other.buffer.firstEvent).toBe(buffer.firstEvent);
    buffer.shift();
    other.buffer.shift();
  }
  expect(other.buffer.size).toBe(0);
});
