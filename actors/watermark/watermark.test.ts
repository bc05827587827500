import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { MergedWatermark, Watermark } from "./watermark.ts";

/** Through a snapshot, into one that was made anew. */
const restored = <T extends { write(out: ByteWriter): void; read(from: ByteReader): void }>(
  from: T,
  into: T,
): T => {
  const out = new ByteWriter();
  from.write(out);
  const reader = new ByteReader(out.finish());
  into.read(reader);
  expect(reader.at).toBe(out.length);
  return into;
};

const NEVER = Number.NEGATIVE_INFINITY;

describe("of a partition", () => {
  test("W2: it is minus infinity until the first event, whatever ticks say", () => {
    const watermark = new Watermark(0);
    expect(watermark.value).toBe(NEVER);
    watermark.tick(5_000);
    expect(watermark).toMatchObject({ value: NEVER, idle: false });
  });

  test("it is the newest event's time, less the out-of-orderness and one", () => {
    const watermark = new Watermark(10);
    watermark.observe(100, 1_000);
    expect(watermark.value).toBe(89);
    watermark.observe(101, 1_000);
    expect(watermark.value).toBe(90);
  });

  test("W1: older events do not take it back", () => {
    const watermark = new Watermark(0);
    watermark.observe(100, 1_000);
    watermark.observe(50, 1_000);
    expect(watermark.value).toBe(99);
  });

  test("a tick lets time flow on from the last event, not from the newest", () => {
    const watermark = new Watermark(10);
    watermark.observe(100, 1_000);
    watermark.observe(40, 2_000);
    watermark.tick(2_049);
    expect(watermark.value).toBe(89);
    watermark.tick(2_070);
    expect(watermark.value).toBe(40 + 70 - 10 - 1);
    watermark.tick(2_060);
    expect(watermark.value).toBe(99);
  });

  test("it is idle from a tick to the next event", () => {
    const watermark = new Watermark(0);
    watermark.observe(1, 1);
    expect(watermark.idle).toBe(false);
    watermark.tick(2);
    expect(watermark.idle).toBe(true);
    watermark.observe(3, 3);
    expect(watermark.idle).toBe(false);
  });

  test("a restart keeps all of it", () => {
    const watermark = new Watermark(10);
    watermark.observe(100, 1_000);
    watermark.observe(40, 2_000);
    const awake = restored(watermark, new Watermark(10));
    expect(awake).toMatchObject({ value: 89, idle: false });
    awake.tick(2_070);
    expect(awake.value).toBe(99);
    expect(restored(awake, new Watermark(10))).toMatchObject({ value: 99, idle: true });
  });
});

describe("of results that span partitions", () => {
  const heard = (...values: readonly number[]): MergedWatermark => {
    const merged = new MergedWatermark(values.length);
    values.forEach((value, index) => merged.update(index, value, value === NEVER));
    return merged;
  };

  test("one that has not been heard of holds back", () => {
    const merged = new MergedWatermark(2);
    merged.update(0, 50, false);
    expect(merged.value).toBe(NEVER);
    merged.update(1, 40, false);
    expect(merged.value).toBe(40);
  });

  test("the slowest decides, wherever it stands", () => {
    expect(heard(10, 20, 30).value).toBe(10);
    expect(heard(30, 10, 20).value).toBe(10);
    expect(heard(20, 30, 10).value).toBe(10);
  });

  test("idle ones do not count; of idle ones alone, the fastest does", () => {
    const merged = heard(10, 20, 30);
    merged.update(0, 10, true);
    expect(merged.value).toBe(20);
    merged.update(1, 20, true);
    expect(merged.value).toBe(30);
    merged.update(2, 30, true);
    expect(merged.value).toBe(30);
    merged.update(1, 45, true);
    expect(merged.value).toBe(45);
  });

  test("one that never held an event holds nobody back", () => {
    expect(heard(NEVER, 7).value).toBe(7);
    expect(heard(NEVER, NEVER).value).toBe(NEVER);
  });

  test("M1: one that wakes up behind does not take it back", () => {
    const merged = heard(10, 20);
    merged.update(0, 10, true);
    merged.update(0, 12, false);
    expect(merged.value).toBe(20);
    merged.update(0, 30, false);
    expect(merged.value).toBe(20);
    merged.update(1, 25, false);
    expect(merged.value).toBe(25);
  });

  test("one that wakes holds back what it held back last, until it tells more", () => {
    const merged = heard(10, 20);
    merged.update(0, 10, true);
    merged.wake(0);
    merged.update(1, 30, false);
    expect(merged.value).toBe(20);
    merged.update(0, 25, false);
    expect(merged.value).toBe(25);
  });

  test("a partition's own never goes back", () => {
    const merged = heard(10, 20);
    merged.update(0, 5, false);
    expect([merged.partition(0), merged.partition(1), merged.value]).toEqual([10, 20, 10]);
  });

  test("its floor is the least of those that ever held an event, idle or not", () => {
    const merged = heard(10, 20, NEVER);
    expect(merged.floor).toBe(10);
    merged.update(0, 10, true);
    expect([merged.value, merged.floor]).toEqual([20, 10]);
    merged.update(0, 15, false);
    expect(merged.floor).toBe(15);
    expect(heard(20, 10).floor).toBe(10);
    expect(heard(NEVER, NEVER).floor).toBe(NEVER);
  });

  test("it is idle when all partitions are", () => {
    const merged = heard(10, 20);
    expect(merged.idle).toBe(false);
    merged.update(0, 10, true);
    expect(merged.idle).toBe(false);
    merged.update(1, 20, true);
    expect(merged.idle).toBe(true);
  });

  test("it awaits the first event of a partition that never held one", () => {
    expect(heard(10, NEVER).awaitsFirst).toBe(true);
    expect(heard(10, 20).awaitsFirst).toBe(false);
  });

  test("what is noted of a partition that does not hold back moves nothing", () => {
    const merged = new MergedWatermark(2);
    expect(merged.note(0, 30, false)).toBe(true);
    expect(merged.note(1, 10, false)).toBe(true);
    expect(merged.value).toBe(NEVER);
    merged.advance();
    expect(merged.value).toBe(10);
    // Partition 0 is ahead; partition 1 stands exactly at the value.
    expect(merged.note(0, 40, false)).toBe(false);
    expect(merged.note(1, 15, false)).toBe(true);
    expect(merged.note(0, 40, true)).toBe(true);
    merged.advance();
    expect(merged.value).toBe(15);
  });

  test("a restart keeps all of it", () => {
    const merged = new MergedWatermark(3);
    merged.update(0, 10, true);
    merged.update(1, 20, false);
    const after = restored(merged, new MergedWatermark(3));
    expect(after.value).toBe(NEVER);
    after.update(2, 30, false);
    // Partition 0 is idle still, and partition 2 had not been heard of.
    expect(after.value).toBe(20);
    expect([0, 1, 2].map((index) => after.partition(index))).toEqual([10, 20, 30]);
    expect(restored(after, new MergedWatermark(3)).value).toBe(20);
    expect(after.floor).toBe(10);
  });
});
