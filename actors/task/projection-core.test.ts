import { expect, test } from "vitest";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { Event, RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { GROUP_KEY_BYTES_MAX } from "../../projections/definition/weight.ts";
import { encodeBatch, PULSE, SALE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { CODE_VERSION } from "../version.ts";
import { imbalance } from "./books-keeper.ts";

const COUNT = { aggregates: { n: { fn: "count" } } } as const;
const sale = (id: string, time: number, key = "k"): Sale => ({ id, key, time });
const described = (run: PartitionRun) => run.take().output.updates.map(describeUpdate);

test("a window is published once, when the watermark passes its end", () => {
  const run = new PartitionRun(salesPlan(COUNT));
  run.read(encodeBatch([sale("a", 1), sale("b", 9)]));
  expect(described(run)).toEqual([]);
  run.read(encodeBatch([sale("c", 10)]));
  expect(described(run)).toEqual(["k [0, 10) final 1: 2"]);
  run.read(encodeBatch([sale("d", 11), sale("e", 40)]));
  expect(described(run)).toEqual(["k [0, 10) final 1: 2", "k [10, 20) final 1: 2"]);
});

test("a window closes between two events of one batch", () => {
  const run = new PartitionRun(salesPlan({ ...COUNT, allowedLatenessMs: 100 }));
  run.read(encodeBatch([sale("a", 1), sale("b", 11), sale("late", 5), sale("c", 12)]));
  expect(described(run)).toEqual(["k [0, 10) final 1: 1", "k [0, 10) correction 2: 2"]);
});

test("a late key in a closed window gets its one final, then corrections", () => {
  const run = new PartitionRun(salesPlan({ ...COUNT, allowedLatenessMs: 100 }));
  run.read(encodeBatch([sale("a", 1), sale("b", 20), sale("x", 2, "late"), sale("y", 3, "late")]));
  expect(described(run)).toEqual([
    "k [0, 10) final 1: 1",
    "late [0, 10) final 1: 1",
    "late [0, 10) correction 2: 2",
  ]);
});

test("an expired window takes nothing more: the event is a dead letter with its bytes", () => {
  const run = new PartitionRun(salesPlan({ ...COUNT, allowedLatenessMs: 5 }));
  run.read(
    encodeBatch([sale("a", 1), sale("b", 15), sale("in-time", 2), sale("c", 16), sale("d", 3)]),
  );
  expect(described(run)).toEqual(["k [0, 10) final 1: 1"]);
  const [first, second] = run.output.deadLetters;
  expect(run.output.deadLetters).toHaveLength(2);
  expect(first).toMatchObject({
    reason: DeadLetter_Reason.REASON_LATE,
    eventId: "in-time",
    watermark: 14,
    lateness: 0,
    window: { start: 0, end: 10 },
    position: { partition: 0, sequence: 1, index: 2 },
  });
  expect(second).toMatchObject({ eventId: "d", lateness: 1 });
  expect(Event.decode(second!.event).eventTime).toBe(3);
});

test("a dead letter keeps all that is needed to judge the event and to send it again", () => {
  const plan = salesPlan(COUNT);
  const run = new PartitionRun(plan, 3);
  const late = { ...sale("late", 5), cents: 700 };
  run.read(encodeBatch([sale("a", 40)], 500_000));
  run.read(encodeBatch([sale("b", 41), late], 600_000)).take();
  const [letter] = run.output.deadLetters;
  expect(letter).toMatchObject({
    reason: DeadLetter_Reason.REASON_LATE,
    topic: plan.topic.definition.name,
    projection: plan.definition.name,
    version: 1,
    position: { partition: 3, sequence: 2, index: 1 },
    eventId: "late",
    eventType: SALE.name,
    eventKey: "k",
    eventTime: 5,
    ingestTime: 600_000,
    window: { start: 0, end: 10 },
    watermark: 40,
    lateness: 31,
    codeVersion: CODE_VERSION,
  });
  const { events } = RecordBatch.decode(encodeBatch([late]));
  expect(Buffer.from(letter!.event)).toEqual(Buffer.from(Event.encode(events[0]!).finish()));
});

test("an update carries the position of the last event that it includes or had to consider", () => {
  const run = new PartitionRun(salesPlan({ ...COUNT, allowedLatenessMs: 100 }), 3);
  run.read(encodeBatch([sale("a", 1)]));
  run.read(encodeBatch([sale("b", 2), sale("c", 30), sale("d", 31), sale("e", 3)])).take();
  expect(run.output.updates).toMatchObject([
    // The one that closed the window, and then the one that corrected it.
    { kind: Kind.KIND_FINAL, watermark: 29, partition: 3, sequence: 2, index: 1 },
    { kind: Kind.KIND_CORRECTION, watermark: 30, partition: 3, sequence: 2, index: 3 },
  ]);
});

test("out-of-orderness holds windows open", () => {
  const plan = salesPlan(COUNT, topicPlan({ maxOutOfOrdernessMs: 7 }));
  const run = new PartitionRun(plan);
  run.read(encodeBatch([sale("a", 1), sale("b", 16), sale("c", 2), sale("d", 17), sale("e", 18)]));
  expect(described(run)).toEqual(["k [0, 10) final 1: 2"]);
});

test("duplicates count once, and conflicts are told apart", () => {
  const run = new PartitionRun(salesPlan());
  run.read(encodeBatch([{ id: "a", key: "k", time: 1, cents: 5 }]));
  run.read(encodeBatch([{ id: "a", key: "k", time: 1, cents: 5 }], 1_000_000 + 600_000));
  run.read(encodeBatch([{ id: "a", key: "k", time: 1, cents: 6 }], 1_000_000 + 600_000));
  expect(run.core.progress().books).toMatchObject({ counted: 1, duplicate: 2, conflict: 1 });
  run.read(encodeBatch([{ id: "a", key: "k", time: 1, cents: 7 }], 1_000_000 + 600_001));
  expect(run.core.progress().books).toMatchObject({ counted: 2, duplicate: 2 });
});

test("a clock in the future moves no watermark", () => {
  const run = new PartitionRun(salesPlan(COUNT));
  const future = 1_000_000 + 300_001;
  run.read(encodeBatch([sale("a", 1), sale("f", future), sale("b", 2)]));
  run.take();
  expect(run.intake.watermarkAfter).toBe(1);
  expect(run.output.deadLetters.map((letter) => letter.reason)).toEqual([
    DeadLetter_Reason.REASON_FUTURE,
  ]);
  expect(run.core.progress().books).toMatchObject({ counted: 2, future: 1 });
});

test("bytes that are no events cost one record each, and their neighbours count", () => {
  const run = new PartitionRun(salesPlan(COUNT));
  const good = encodeBatch([sale("a", 1)]);
  const noType = encodeBatch([{ id: "b", key: "k", time: 1, type: "nobody.Knows" }]);
  const junk = Uint8Array.of(0x12, 0x03, 0xff, 0xff, 0xff);
  const cutOff = Uint8Array.of(0x12, 0x7f, 0x01);
  run.read(Buffer.concat([good, noType, junk, encodeBatch([sale("c", 2)]), cutOff]));
  run.take();
  expect(run.core.progress().books).toMatchObject({ events: 5, counted: 2, invalid: 3 });
  expect(run.output.deadLetters.map((letter) => letter.error)).toEqual([
    "type: not a type of this topic",
    "malformed field tag",
    "the record batch is malformed from here on",
  ]);
});

test("other types are filtered out and still move the watermark", () => {
  const run = new PartitionRun(salesPlan(COUNT));
  run.read(encodeBatch([sale("a", 1), { id: "p", key: "k", time: 50, type: PULSE.name }]));
  expect(described(run)).toEqual(["k [0, 10) final 1: 1"]);
  expect(run.core.progress().books).toMatchObject({ counted: 1, filtered: 1 });
});

test("where keeps only what is true", () => {
  const where = { op: "gt", args: [{ field: "cents" }, { literal: 3 }] } as const;
  const run = new PartitionRun(salesPlan({ ...COUNT, where }));
  run.read(
    encodeBatch([
      { id: "a", key: "k", time: 1, cents: 4 },
      { id: "b", key: "k", time: 1, cents: 3 },
      { id: "null", key: "k", time: 1 },
      { id: "c", key: "k", time: 20, cents: 9 },
    ]),
  );
  expect(described(run)).toEqual(["k [0, 10) final 1: 1"]);
  expect(run.core.progress().books).toMatchObject({ counted: 2, filtered: 2 });
});

test("sums are exact over 64 bits and extremes keep every digit", () => {
  const run = new PartitionRun(salesPlan());
  const big = 2n ** 62n + 1n;
  run.read(
    encodeBatch([
      { id: "a", key: "k", time: 1, cents: big, weight: 0.5 },
      { id: "b", key: "k", time: 1, cents: -3n },
      { id: "c", key: "k", time: 1, cents: big - 1n, weight: 1.5 },
      { id: "d", key: "k", time: 1 },
      { id: "e", key: "k", time: 99 },
    ]),
  );
  expect(described(run)).toEqual([`k [0, 10) final 1: 4 ${big * 2n - 4n} -3 ${big} 1`]);
});

test("early updates come at ingest times that the log decides, each after every batch", () => {
  const early = new PartitionRun(salesPlan({ ...COUNT, emit: { mode: "early", everyMs: 1000 } }));
  early.read(encodeBatch([sale("a", 1)], 1_000_000));
  early.take();
  early.output.updates.length = 0;
  early.read(encodeBatch([sale("b", 2)], 1_000_999));
  expect(described(early)).toEqual([]);
  early.read(encodeBatch([], 1_001_000));
  expect(described(early)).toEqual(["k [0, 10) early 2: 2"]);

  const each = new PartitionRun(salesPlan({ ...COUNT, emit: { mode: "each" } }));
  each.read(encodeBatch([sale("a", 1), sale("b", 2)])).read(encodeBatch([sale("c", 3)]));
  each.read(encodeBatch([sale("d", 30)]));
  expect(described(each)).toEqual([
    "k [0, 10) early 1: 2",
    "k [0, 10) early 2: 3",
    "k [0, 10) final 3: 3",
    "k [30, 40) early 1: 1",
  ]);
});

test("a tick lets event time flow on from the last event", () => {
  const run = new PartitionRun(salesPlan(COUNT));
  run.read(encodeBatch([sale("a", 1)], 1_000_000));
  run.read(encodeBatch([], 1_000_008, 1_000_008));
  expect(described(run)).toEqual([]);
  run.read(encodeBatch([], 1_000_009, 1_000_009));
  expect(described(run)).toEqual(["k [0, 10) final 1: 1"]);
  expect(run.core.progress()).toMatchObject({ watermark: 9, idle: true });
});

test("a restart anywhere changes no output and no digest", () => {
  const plan = salesPlan({ allowedLatenessMs: 12, emit: { mode: "early", everyMs: 40 } });
  const batches = Array.from({ length: 40 }, (_, b) =>
    encodeBatch(
      Array.from({ length: 5 }, (_, i) => ({
        id: `${(b * 5 + i) % 190}`,
        key: `k${(b * 7 + i * 3) % 6}`,
        time: b * 3 + ((i * 11) % 17) - 8,
        cents: b * 100 + i,
        weight: (b + i) / 7,
      })),
      1_000_000 + b * 13,
    ),
  );
  const whole = new PartitionRun(plan);
  for (const batch of batches) whole.read(batch).take();
  for (let at = 0; at < batches.length; at++) {
    const run = new PartitionRun(plan);
    batches.forEach((batch, index) => {
      if (index === at) run.restart();
      run.read(batch).take();
    });
    expect(run.output).toEqual(whole.output);
    expect(digestHex(run.core)).toBe(digestHex(whole.core));
  }
  expect(imbalance(whole.core.progress().books)).toBe(0);
});

test("a key that is too long for a result is poison, and its neighbours count", () => {
  const plan = salesPlan({ ...COUNT, key: { field: "store" } });
  const run = new PartitionRun(plan);
  const of = (id: string, store: string): Sale => ({ ...sale(id, 1), store });
  const longest = "x".repeat(GROUP_KEY_BYTES_MAX);
  run
    .read(encodeBatch([of("a", "s"), of("b", `${longest}y`), of("c", longest), sale("d", 20)]))
    .take();
  expect(run.output.partials.map(({ key }) => key.length)).toEqual([1, GROUP_KEY_BYTES_MAX]);
  expect(run.output.deadLetters).toHaveLength(1);
  expect(run.output.deadLetters[0]).toMatchObject({
    reason: DeadLetter_Reason.REASON_POISON,
    eventId: "b",
    error: "the key of its result is 1025 bytes long; the limit is 1024",
  });
  const { books } = run.core.progress();
  expect(books).toMatchObject({ events: 4, counted: 3, poison: 1 });
  expect(imbalance(books)).toBe(0);
});
