import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BatchBuffer } from "./batch-buffer.ts";
import { fieldBytes } from "./batch-buffer.ts";
import { Batcher, BATCHING_LIMITS, type BatchingLimits, type PartitionLane } from "./batcher.ts";
import { HeldLog, settled } from "./held-log.suite.ts";
import { IngestRequest } from "./ingest-request.ts";
import { eventBytes, HeldClock, labEvent, NOW } from "./lab-topic.suite.ts";
import type { AppendOutcome } from "./metrics.ts";

const setUp = (limits: Partial<BatchingLimits> = {}) => {
  const log = new HeldLog();
  const clock = new HeldClock();
  const outcomes: AppendOutcome[] = [];
  const batcher = new Batcher({
    log: log.service,
    clock,
    metrics: {
      answered: () => {},
      refused: () => {},
      appended: (outcome) => outcomes.push(outcome),
    },
    limits: { ...BATCHING_LIMITS, ...limits },
  });
  return { log, clock, batcher, outcomes, lane: batcher.lane("lab", 0) };
};

const put = (lane: PartitionLane, id: string, padding = 0): BatchBuffer => {
  const value = Buffer.concat([Buffer.from([0x62, padding & 0x7f]), Buffer.alloc(padding & 0x7f)]);
  const bytes = eventBytes(labEvent({ id, data: { $case: "protobuf", value } }));
  const batch = lane.batchFor(fieldBytes(bytes.length));
  batch.append(bytes, 0, bytes.length);
  return batch;
};

const ids = (log: HeldLog): string[][] =>
  log.waiting.map(({ batch }) => batch.events.map((event) => event.id));

describe("the batcher", () => {
  it("sends a lone event at once, then lets events gather until a slot is free (N2)", async () => {
    const { log, batcher, lane } = setUp({ appendsInFlightMax: 2 });
    for (const id of ["a", "b", "c", "d", "e"]) {
      put(lane, id);
      batcher.flush();
    }
    expect(ids(log)).toEqual([["a"], ["b"]]);
    await log.waiting[0].acknowledge();
    expect(ids(log)).toEqual([["b"], ["c", "d", "e"]]);
  });

  it("sends nothing before the flush", () => {
    const { log, batcher, lane } = setUp();
    put(lane, "a");
    put(lane, "b");
    expect(log.waiting).toHaveLength(0);
    batcher.flush();
    expect(ids(log)).toEqual([["a", "b"]]);
  });

  it("stamps a batch when it is opened", async () => {
    const { log, clock, batcher, lane } = setUp({ appendsInFlightMax: 1 });
    put(lane, "a");
    batcher.flush();
    clock.now = NOW + 5;
    put(lane, "b");
    clock.now = NOW + 9;
    put(lane, "c");
    await log.waiting[0].acknowledge();
    expect(log.waiting[0].batch.ingestTime).toBe(NOW + 5);
    expect(ids(log)).toEqual([["b", "c"]]);
  });

  it("closes a batch at its limit of events, and of bytes unless one event is larger", () => {
    const { log, batcher, lane } = setUp({ batchEventsMax: 2, appendsInFlightMax: 9 });
    for (const id of ["a", "b", "c"]) put(lane, id);
    batcher.flush();
    expect(ids(log)).toEqual([["a", "b"], ["c"]]);

    const small = setUp({ batchBytesMax: 150, appendsInFlightMax: 9 });
    put(small.lane, "a", 100);
    put(small.lane, "b", 10);
    put(small.lane, "c", 10);
    put(small.lane, "d", 120);
    small.batcher.flush();
    expect(ids(small.log)).toEqual([["a"], ["b", "c"], ["d"]]);
  });

  it("keeps a batch within what the log takes", () => {
    const log = new HeldLog();
    log.maxBytes = 100;
    const { clock } = setUp();
    const metrics = { answered: () => {}, refused: () => {}, appended: () => {} };
    const batcher = new Batcher({ log: log.service, clock, metrics, limits: BATCHING_LIMITS });
    expect(batcher.limits.batchBytesMax).toBe(100);
  });

  it("fails all that gathered behind a failed append, and tries what comes later (N3)", async () => {
    const { log, batcher, lane, outcomes } = setUp({ appendsInFlightMax: 1 });
    const first = put(lane, "a");
    batcher.flush();
    const second = put(lane, "b");
    batcher.flush();
    await log.waiting[0].fail("unavailable", "no acknowledgement in 5 s");
    expect(log.waiting).toHaveLength(0);
    expect(first.failure?.message).toBe("no acknowledgement in 5 s");
    expect(second.failure?.message).toBe("no acknowledgement in 5 s");
    expect(outcomes.map(({ failure }) => failure)).toEqual(["unavailable", "unavailable"]);
    expect(batcher.bufferedBytes).toBe(0);

    put(lane, "c");
    batcher.flush();
    expect(ids(log)).toEqual([["c"]]);
  });

  it("takes a log that throws at once for unavailable", async () => {
    const { batcher, lane } = setUp();
    Object.assign(batcher.log, {
      append: () => {
        throw new Error("connection draining");
      },
    });
    const batch = put(lane, "a");
    batcher.flush();
    expect(batch.failure).toBeUndefined();
    await settled();
    expect(batch.failure?.failure).toEqual({ kind: "unavailable", message: "connection draining" });
  });

  it("wakes those who wait for room one by one, in their order (N4)", async () => {
    const { log, batcher, lane } = setUp({ bufferedBytesMax: 150, appendsInFlightMax: 1 });
    put(lane, "a", 100);
    batcher.flush();
    expect(batcher.hasRoom).toBe(true);
    put(lane, "b", 100);
    expect(batcher.hasRoom).toBe(false);
    const woken: string[] = [];
    batcher.whenRoom(() => {
      woken.push("first");
      put(lane, "c", 120);
      batcher.flush();
    });
    batcher.whenRoom(() => woken.push("second"));
    await log.waiting[0].acknowledge();
    expect(woken).toEqual(["first"]);
    await log.waiting[0].acknowledge();
    await log.waiting[0].acknowledge();
    expect(woken).toEqual(["first", "second"]);
    expect(batcher.bufferedBytes).toBe(0);
  });

  it("appends in order (N1), stores each event once, and tells every request the truth", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ put: fc.integer({ min: 1, max: 7 }) }) },
      { weight: 3, arbitrary: fc.record({ acknowledge: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ fail: fc.nat() }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const limits = { batchEventsMax: 5, batchBytesMax: 400, appendsInFlightMax: 2 };
        const { log, batcher } = setUp(limits);
        const lanes = [batcher.lane("lab", 0), batcher.lane("lab", 1)];
        const done = new Map<IngestRequest, string[]>();
        const open = new Set<IngestRequest>();
        let next = 0;

        const publish = (count: number): void => {
          const request = new IngestRequest(count, () => {
            expect(open.delete(request)).toBe(true);
          });
          open.add(request);
          const names: string[] = [];
          for (let i = 0; i < count; i++) {
            const name = String(next++);
            names.push(name);
            request.put(i, put(lanes[next % 3 === 0 ? 1 : 0], name, (next * 37) % 128), false);
          }
          done.set(request, names);
          batcher.flush();
          request.seal();
        };
        const answer = async (at: number, ok: boolean): Promise<void> => {
          if (log.waiting.length === 0) return;
          const append = log.waiting[at % log.waiting.length];
          await (ok ? append.acknowledge() : append.fail("unavailable"));
        };

        for (const each of steps) {
          if ("put" in each) publish(each.put);
          else if ("acknowledge" in each) await answer(each.acknowledge, true);
          else await answer(each.fail, false);
          for (const lane of [0, 1]) {
            const inFlight = log.waiting.filter(({ partition }) => partition === lane);
            expect(inFlight.length).toBeLessThanOrEqual(2);
          }
        }
        while (log.waiting.length > 0) await answer(0, true);

        expect(open.size).toBe(0);
        expect(batcher.bufferedBytes).toBe(0);
        for (const lane of [0, 1]) {
          const appends = log.appends.filter(({ partition }) => partition === lane);
          const order = appends.flatMap(({ batch }) => batch.events.map(({ id }) => Number(id)));
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
        const where = new Map<string, string>();
        for (const [stream, batches] of log.stored) {
          batches.forEach((batch, at) => {
            expect(batch.events.length).toBeLessThanOrEqual(5);
            for (const { id } of batch.events) {
              expect(where.has(id)).toBe(false);
              where.set(id, `${stream}@${at + 1}`);
            }
          });
        }
        for (const [request, names] of done) {
          names.forEach((name, i) => {
            const batch = request.batchOf(i);
            const told = batch && `lab/${batch.partition}@${batch.sequence}`;
            expect(told).toBe(where.get(name));
          });
          expect(request.stored + request.unavailable).toBe(names.length);
          expect(request.rejections.map(({ index }) => index)).toEqual(
            names.flatMap((name, i) => (where.has(name) ? [] : [i])),
          );
        }
      }),
      { numRuns: 200 },
    );
  });
});
