import { expect, it } from "vitest";
import { PublishStreamRequest } from "../../proto/gen/tidemark/v1/ingest.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { EventWriter } from "../demo/event-writer.ts";
import { keyOfPartition, Load, WINDOW_MS } from "./load.ts";

const START = Date.UTC(2020, 0, 1);

const makeLoad = (seed = 1) =>
  new Load({ topic: "bench", partitions: 8, seed, startTime: START, run: "run0-" });

const eventsOf = (load: Load, count: number) =>
  PublishStreamRequest.decode(load.request(new EventWriter("bench"), count).bytes).events;

const valueOf = (payload: Uint8Array): number => {
  const reader = new BinaryReader(payload);
  return reader.uint32() >>> 3 === 1 ? reader.uint32() : 0;
};

it("expects exactly what it sends", () => {
  const load = makeLoad();
  const sums = new Map<string, { readings: number; total: number }>();
  for (const { key, eventTime, data } of eventsOf(load, 3_000)) {
    expect(eventTime).toBeGreaterThanOrEqual(START);
    expect(data?.$case).toBe("protobuf");
    const payload = data!.$case === "protobuf" ? data!.value : Buffer.alloc(0);
    const place = `${key} ${Math.floor(eventTime! / WINDOW_MS) * WINDOW_MS}`;
    const sum = sums.get(place) ?? { readings: 0, total: 0 };
    sums.set(place, { readings: sum.readings + 1, total: sum.total + valueOf(payload) });
  }
  const expected = [...load.expected()];
  expect(expected.length).toBe(sums.size);
  for (const { key, windowStart, readings, total } of expected) {
    expect(sums.get(`${key} ${windowStart}`)).toEqual({ readings, total });
  }
});

it("makes the same events of the same seed", () => {
  expect(eventsOf(makeLoad(), 100)).toEqual(eventsOf(makeLoad(), 100));
  expect(eventsOf(makeLoad(2), 100)).not.toEqual(eventsOf(makeLoad(), 100));
});

it("closes every window in every partition at the end of a run", () => {
  const load = makeLoad();
  const last = Math.max(...eventsOf(load, 2_000).map(({ eventTime }) => eventTime!));
  const beats = PublishStreamRequest.decode(load.heartbeats(new EventWriter("bench")).bytes).events;
  expect(beats.map(({ key }) => partitionOf(key, 8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  for (const { eventTime } of beats) {
    expect(eventTime).toBeGreaterThan(Math.ceil(last / WINDOW_MS) * WINDOW_MS + 10_000);
  }
  expect(keyOfPartition(3, 8)).toBe(keyOfPartition(3, 8));
});
