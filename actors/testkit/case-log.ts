/**
 * A case's steps as what a log holds, in order: record batches and ticks, with restarts and expectations
 * between them.
 *
 * G1. The gateway's clock is the case's: it moves by `wait`, `tick` and `ingest` alone.
 * G2. Every variant of a log holds the same events at the same ingest times.
 */
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { PULSE, topicOfLane } from "./case-plan.ts";
import type { CheckedCase, CheckedEvent, CheckedExpectation, CheckedStep } from "./case.ts";

export interface LogBatch {
  readonly entry: "batch";
  readonly path: string;
  /** A partition of one of the topics, numbered through. */
  readonly lane: number;
  readonly ingestTime: number;
  readonly events: readonly CheckedEvent[];
}

export type LogEntry =
  | LogBatch
  | {
      readonly entry: "tick";
      readonly path: string;
      readonly lane: number;
      readonly time: number;
    }
  | { readonly entry: "restart"; readonly path: string }
  /** A pulse has just brought the lane's watermark to this. */
  | {
      readonly entry: "reached";
      readonly path: string;
      readonly lane: number;
      readonly watermark: number;
    }
  | { readonly entry: "expect"; readonly path: string; readonly expectation: CheckedExpectation };

export const isPulse = (event: CheckedEvent): boolean => event.type === PULSE.name;

export const encodeEntry = (entry: LogBatch): Uint8Array =>
  RecordBatch.encode({
    ingestTime: entry.ingestTime,
    tick: undefined,
    rekeyed: undefined,
    events: entry.events.map((event) => ({
      id: event.id,
      type: event.type,
      key: event.key,
      eventTime: event.time,
      data: { $case: "protobuf", value: Buffer.from(event.payload) },
    })),
  }).finish();

export const encodeTick = (time: number): Uint8Array =>
  RecordBatch.encode({ ingestTime: time, events: [], tick: { time }, rekeyed: undefined }).finish();

const latestTime = (
  steps: readonly CheckedStep[],
  disorderOf: (lane: number) => number,
): number => {
  let latest = Number.NEGATIVE_INFINITY;
  for (const step of steps) {
    if (step.step === "watermark") {
      latest = Math.max(latest, ...step.lanes.map((lane) => step.time + disorderOf(lane) + 1));
    }
    if (step.step !== "events") continue;
    for (const event of step.events) {
      if (event.ingest === undefined) latest = Math.max(latest, event.time);
    }
  }
  return Number.isFinite(latest) ? Math.max(0, latest) : 0;
};

/** The log as the case is written: each event in a record batch of its own, but for `batch`. */
export const logOf = ({ topics, clock: start, steps }: CheckedCase): readonly LogEntry[] => {
  const disorderOf = (lane: number) => topicOfLane(topics, lane).definition.maxOutOfOrdernessMs;
  const log: LogEntry[] = [];
  let clock = start ?? latestTime(steps, disorderOf);
  let pulses = 0;
  for (const step of steps) {
    const { path } = step;
    switch (step.step) {
      case "events":
        clock = step.events[0]?.ingest ?? clock;
        for (const lane of new Set(step.events.map((event) => event.lane))) {
          const events = step.events.filter((event) => event.lane === lane);
          log.push({ entry: "batch", path, lane, ingestTime: clock, events });
        }
        break;
      case "watermark":
        for (const lane of step.lanes) {
          const event: CheckedEvent = {
            path,
            id: `tidemark-pulse-${++pulses}`,
            type: PULSE.name,
            key: "",
            time: step.time + disorderOf(lane) + 1,
            lane,
            ingest: undefined,
            payload: new Uint8Array(0),
          };
          log.push({ entry: "batch", path, lane, ingestTime: clock, events: [event] });
          log.push({ entry: "reached", path, lane, watermark: step.time });
        }
        break;
      case "tick":
        clock += step.ms;
        for (const lane of step.lanes) {
          log.push({ entry: "tick", path, lane, time: clock });
        }
        break;
      case "wait":
        clock += step.ms;
        break;
      case "restart":
        log.push({ entry: "restart", path });
        break;
      case "expect":
        log.push({ entry: "expect", path, expectation: step.expectation });
    }
  }
  return log;
};

const onlyLog = (log: readonly LogEntry[]): readonly LogEntry[] =>
  log.filter(({ entry }) => entry === "batch" || entry === "tick");

/** Each event alone in its record batch. */
export const oneByOne = (log: readonly LogEntry[]): readonly LogEntry[] =>
  onlyLog(log).flatMap((entry): LogEntry[] =>
    entry.entry === "batch"
      ? entry.events.map((event) => ({ ...entry, events: [event] }))
      : [entry],
  );

/** As few record batches as the partitions, ticks and ingest times allow. */
export const allTogether = (log: readonly LogEntry[]): readonly LogEntry[] => {
  const together: LogEntry[] = [];
  for (const entry of onlyLog(log)) {
    const last = together.at(-1);
    const joins =
      last?.entry === "batch" &&
      entry.entry === "batch" &&
      last.lane === entry.lane &&
      last.ingestTime === entry.ingestTime;
    if (joins)
      together[together.length - 1] = { ...last, events: [...last.events, ...entry.events] };
    else together.push(entry);
  }
  return together;
};

/** With a restart before and after everything. */
export const restartedThroughout = (log: readonly LogEntry[]): readonly LogEntry[] =>
  onlyLog(log).flatMap((entry) => [{ entry: "restart", path: entry.path } as const, entry]);
