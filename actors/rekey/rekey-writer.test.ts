/** What a relay's writer makes of commits that come to it in an order of its two readers' own. */
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { RekeyWriter } from "./rekey-writer.ts";

const SLOW = 0;
const FAST = 1;

interface Said {
  readonly watermark: number;
  readonly idle?: boolean;
  readonly events?: readonly number[];
}

/** A commit of one part; its events go to partition 0. */
const commitOf = (
  upstream: number,
  inputSequence: number,
  { watermark, idle = false, events = [] }: Said,
): Commit => ({
  ...Commit.decode(new Uint8Array(0)),
  partition: upstream,
  partCount: 1,
  inputSequence,
  watermark,
  idle,
  routed: events.map((index) => ({
    partition: 0,
    group: "g",
    sequence: inputSequence,
    index,
    ingestTime: 1,
    watermark: undefined,
    event: Buffer.alloc(0),
  })),
});

/** What a writer appends for partition 0 now. */
const written = (writer: RekeyWriter): readonly Uint8Array[] => {
  const batches: Uint8Array[] = [];
  do {
    batches.push(Uint8Array.from(writer.encode(0)));
    writer.wrote(0);
  } while (writer.isWaiting(0));
  return batches;
};

const rekeyedOf = (data: Uint8Array) => RecordBatch.decode(data).rekeyed!;
/** By upstream and position there: each event that is in the log. */
const eventsIn = (log: readonly Uint8Array[]): readonly string[] =>
  log
    .map(rekeyedOf)
    .flatMap(({ partitions, sequences, indexes }) =>
      partitions.map((upstream, row) => `${upstream}:${sequences[row]}/${indexes[row]}`),
    );

describe("an upstream that is held back", () => {
  /** The fast one is held back at 3, and may go on since 4: nothing of it was stepped over. */
  const heldBack = () => {
    const writer = new RekeyWriter([undefined], 2, { events: 1, bytes: Infinity });
    writer.gather(1, commitOf(SLOW, 1, { watermark: 0 }));
    writer.gather(2, commitOf(FAST, 1, { watermark: 100, events: [0, 1] }));
    expect(writer.held).toEqual([{ upstream: FAST, position: 2 }]);
    writer.gather(3, commitOf(SLOW, 2, { watermark: 100 }));
    expect(writer.mayGoOn(FAST)).toBe(true);
    return writer;
  };
  const next = commitOf(FAST, 2, { watermark: 100, events: [0] });
  const once = [`${FAST}:1/0`, `${FAST}:1/1`, `${FAST}:2/0`];

  test("R1: what its own reader brings first is not written again when the other one comes to it", () => {
    const writer = heldBack();
    writer.catchUp(5, next);
    const log = [...written(writer)];
    writer.gather(4, commitOf(SLOW, 3, { watermark: 100 }));
    writer.gather(5, next);
    log.push(...written(writer));
    expect(eventsIn(log)).toEqual(once);
    expect(writer.held).toEqual([]);
    // Then it is read as the others are.
    writer.gather(6, commitOf(FAST, 3, { watermark: 100, events: [0] }));
    expect(eventsIn(written(writer))).toEqual([`${FAST}:3/0`]);
    expect(writer.written).toBe(6);
  });

  test("goes on where it stands, also if it was let go since its reader was opened, and held back again", () => {
    const writer = heldBack();
    writer.catchUp(5, next);
    writer.gather(4, commitOf(SLOW, 3, { watermark: 100 }));
    writer.gather(5, next);
    writer.gather(6, commitOf(FAST, 3, { watermark: 200, events: [0, 1] }));
    expect(writer.held).toEqual([{ upstream: FAST, position: 6 }]);
    writer.catchUp(5, next);
    expect(writer.held).toEqual([{ upstream: FAST, position: 6 }]);
    expect(eventsIn(written(writer))).toEqual([...once, `${FAST}:3/0`, `${FAST}:3/1`]);
  });

  test("R1: nor after a restart between the two", () => {
    const writer = heldBack();
    writer.catchUp(5, next);
    const log = [...written(writer)];
    writer.confirm(FAST, 5);
    expect(writer.held).toEqual([{ upstream: FAST, position: 5 }]);
    const restarted = new RekeyWriter([log.at(-1)], 2);
    expect(restarted.position).toBe(3);
    restarted.gather(4, commitOf(SLOW, 3, { watermark: 100 }));
    restarted.gather(5, next);
    log.push(...written(restarted));
    expect(eventsIn(log)).toEqual(once);
  });
});

test("R5: when all is routed, those that are held back still go on side by side, to the end", () => {
  const writer = new RekeyWriter([undefined], 3, { events: 1, bytes: Infinity });
  const at = (watermark: number): Said => ({ watermark, events: [0, 1] });
  const commits = [
    commitOf(SLOW, 1, { watermark: 0 }),
    commitOf(2, 1, { watermark: 0 }),
    ...[100, 200, 300].map((watermark, i) => commitOf(FAST, i + 2, at(watermark))),
    ...[150, 250, 350].map((watermark, i) => commitOf(2, i + 2, at(watermark))),
    commitOf(SLOW, 2, { watermark: 1 }),
  ];
  const gather = (from: number, to: number) => {
    for (let sequence = from; sequence <= to; sequence++) {
      writer.gather(sequence, commits[sequence - 1]!);
    }
  };
  const going = (): readonly number[] =>
    writer.held.map(({ upstream }) => upstream).filter((upstream) => writer.mayGoOn(upstream));
  const catchUp = (sequence: number) => writer.catchUp(sequence, commits[sequence - 1]!);
  gather(1, 6);
  writer.endAt(commits.length);
  // The slow one has still to come.
  expect(going()).toEqual([]);
  gather(7, commits.length);
  expect(going()).toEqual([FAST]);
  catchUp(4);
  expect(going()).toEqual([2]);
  catchUp(7);
  expect(going()).toEqual([FAST]);
  catchUp(5);
  expect(going()).toEqual([2]);
  catchUp(8);
  expect(writer.held).toEqual([]);
  expect(eventsIn(written(writer))).toHaveLength(12);
  expect(writer.written).toBe(commits.length);
});

test("R3: where rows are written first, nobody is idle of whom more is to be written after them", () => {
  const writer = new RekeyWriter([undefined], 2, undefined, new Set([FAST]));
  const idleIn = (data: Uint8Array): readonly boolean[] =>
    rekeyedOf(data).upstreams.map(({ idle }) => idle);
  writer.gather(1, commitOf(SLOW, 1, { watermark: 0, idle: true }));
  writer.gather(2, commitOf(FAST, 1, { watermark: 0 }));
  expect(written(writer).map(idleIn)).toEqual([[true, false]]);
  writer.gather(3, commitOf(SLOW, 2, { watermark: 0, events: [0] }));
  // Idle again by the time at which it is written.
  writer.gather(4, commitOf(SLOW, 3, { watermark: 20, idle: true }));
  writer.gather(5, commitOf(FAST, 2, { watermark: 100, events: [0] }));
  const [rows, others] = written(writer);
  expect(eventsIn([rows!])).toEqual([`${FAST}:2/0`]);
  expect(idleIn(rows!)).toEqual([false, false]);
  expect(eventsIn([others!])).toEqual([`${SLOW}:2/0`]);
  expect(idleIn(others!)).toEqual([true, false]);
});
