import { expect, it } from "vitest";
import { NO_BOOKS } from "../../../actors/commit/marker.ts";
import type { StreamInfo } from "../../nats/jetstream-api.ts";
import type { ProcessHealth } from "../process-health.ts";
import type { Survey, TaskSurvey } from "../survey.ts";
import { plain } from "../terminal/colour.ts";
import { renderFindings, streamMistakes } from "./doctor.ts";
import { renderStatus, statusJson, summarise } from "./status.ts";
import { payloadOf } from "../dead-letter-payload.ts";
import { Event } from "../../../proto/gen/tidemark/v1/event.ts";
import { deadLetterJson, deadLetterLine, reasonName } from "./tail-dead-letters.ts";
import { DeadLetter, DeadLetter_Reason } from "../../../proto/gen/tidemark/v1/dead_letter.ts";

const HOUR_MS = 3_600_000;

const task = (
  kind: TaskSurvey["kind"],
  partition: number,
  watermark: number | undefined,
  lag: number | undefined,
): TaskSurvey => ({
  kind,
  projection: "departures",
  version: 2,
  partition,
  inputPartition: partition,
  topic: kind === "merge" ? undefined : "flights",
  active: true,
  lag,
  marker: {
    sequence: 1,
    epoch: 1,
    number: 1,
    inputSequence: 7,
    watermark,
    idle: false,
    ingestTime: 0,
    digest: new Uint8Array(8),
    definitionDigest: new Uint8Array(8),
    books: { ...NO_BOOKS, events: 10, counted: 8, late: 1, duplicate: 1 },
    retainFrom: 0,
  },
});

const survey = (tasks: readonly TaskSurvey[]): Survey => ({
  topics: [{ name: "flights", partitions: [{ partition: 0, first: 1, last: 9, bytes: 2_048 }] }],
  tasks,
  deadLetters: [{ topic: "flights", projection: "departures", reason: "late", count: 2 }],
  streams: [],
  resultsLast: 3,
});

const report = (tasks: readonly TaskSurvey[]) => ({
  run: undefined,
  survey: survey(tasks),
  projections: [
    {
      projection: "departures",
      version: 2,
      active: true,
      results: 42,
      watermark: undefined,
      incomplete: false,
    },
  ],
  health: [] as readonly ProcessHealth[],
});

it("sums the tasks of a projection and takes the least watermark", () => {
  const tasks = [task("window", 0, 5 * HOUR_MS, 2), task("window", 1, 3 * HOUR_MS, 1)];
  expect(summarise(report(tasks))).toEqual([
    {
      projection: "departures",
      version: 2,
      active: true,
      results: 42,
      lag: 3,
      watermark: 3 * HOUR_MS,
      books: { ...NO_BOOKS, events: 20, counted: 16, late: 2, duplicate: 2 },
      deadLetters: 2,
    },
  ]);
});

it("takes the watermark of the merging task where there is one, and counts its input once", () => {
  const tasks = [task("partial", 0, 5 * HOUR_MS, 0), task("merge", 0, 4 * HOUR_MS, 6)];
  expect(summarise(report(tasks))[0]).toMatchObject({
    watermark: 4 * HOUR_MS,
    lag: 6,
    books: { events: 10 },
  });
});

it("counts the events of a re-keyed projection where they are read first, and what became of them last", () => {
  const books = { ...NO_BOOKS, events: 7, counted: 6, late: 1 };
  const keyed = task("window", 0, 3 * HOUR_MS, 0);
  const tasks = [
    task("routing", 0, 5 * HOUR_MS, 2),
    { ...keyed, marker: { ...keyed.marker, books } },
  ];
  expect(summarise(report(tasks))[0]).toMatchObject({
    watermark: 3 * HOUR_MS,
    lag: 2,
    // One of the eight that were passed on was late, another is on its way.
    books: { events: 10, counted: 7, late: 2, duplicate: 1 },
  });
});

it("does not claim to know the lag of a projection that is not configured here", () => {
  expect(summarise(report([task("window", 0, undefined, undefined)]))[0]).toMatchObject({
    lag: undefined,
    watermark: undefined,
  });
});

it("shows topics, projections and dead letters as tables", () => {
  expect(renderStatus(report([task("window", 0, 0, 2)]), plain)).toBe(
    [
      "Topics",
      "topic    partition  first  last     size",
      "flights          0      1     9  2.0 KiB",
      "",
      "Projections",
      "projection  version  active  results  lag  watermark",
      "departures        2  yes          42    2  1970-01-01 00:00:00",
      "",
      "Events",
      "projection  version  events  counted  late  duplicate  conflict  future  invalid  filtered  poison  dead letters",
      "departures        2      10        8     1          1         0       0        0         0       0             2",
      "",
      "Dead letters",
      "topic    projection  reason  count",
      "flights  departures  late        2",
      "",
    ].join("\n"),
  );
  expect(JSON.parse(statusJson(report([task("window", 0, 0, 2)])))).toMatchObject({
    system: null,
    tasks: [{ kind: "window", partition: 0, lag: 2, inputSequence: 7, watermark: 0 }],
  });
});

it("shows versions that nobody works on only when asked, without a lag, and all of them as JSON", () => {
  const old = { ...task("window", 0, 0, undefined), version: 1, active: false };
  const both = report([old, task("window", 0, 0, 2)]);
  expect(renderStatus(both, plain)).not.toMatch(/^departures +1 /m);
  expect(renderStatus(both, plain)).toContain("\n1 version that nobody works on: --all\n");
  expect(renderStatus(both, plain, true)).toMatch(/^departures +1 +no +\? +- /m);
  expect(JSON.parse(statusJson(both))).toMatchObject({
    projections: [
      { version: 1, active: false, lag: null },
      { version: 2, active: true, lag: 2, books: { events: 10, conflict: 0 } },
    ],
    tasks: [
      { version: 1, lag: null },
      { version: 2, lag: 2 },
    ],
  });
});

it("shows what is wrong with each process", () => {
  const reason = "the log has a gap";
  const problem = {
    about: "task results.departures.2.0",
    state: "quarantined",
    reason,
    hint: "look",
  };
  const sick = {
    ...report([task("window", 0, 0, 2)]),
    health: [
      { name: "gateway", problems: [] },
      { name: "worker-0", problems: [problem] },
    ],
  };
  expect(renderStatus(sick, plain)).toContain(
    "Problems\nworker-0  task results.departures.2.0 is quarantined: the log has a gap; look\n",
  );
  expect(JSON.parse(statusJson(sick))).toMatchObject({
    problems: [{ process: "worker-0", ...problem }],
  });
});

it("names each setting of a stream that is not as it must be", () => {
  const config = {
    storage: "file",
    discard: "new",
    retention: "limits",
    max_age: 86_400_000 * 1e6,
    max_bytes: -1,
  } as unknown as StreamInfo["config"];
  expect(streamMistakes(config, { maxAgeMs: 86_400_000, maxBytes: -1 })).toEqual([]);
  const other = { ...config, discard: "old", max_age: 0 } as unknown as StreamInfo["config"];
  expect(streamMistakes(other, { maxAgeMs: 86_400_000, maxBytes: undefined })).toEqual([
    "discard is old, not new",
    "max_age is none, not 1 d 0 h",
  ]);
});

it("marks what is good and what is not", () => {
  expect(
    renderFindings(
      [
        { about: "nats-server", verdict: "good", text: "version 2.15.1" },
        { about: "durability", verdict: "bad", text: "fsync is off" },
      ],
      plain,
    ),
  ).toBe("✓ nats-server  version 2.15.1\n✗ durability   fsync is off\n");
});

it("shows the payload of a dead letter as JSON, and the bytes of what its schema cannot read", () => {
  const empty = DeadLetter.decode(new Uint8Array(0));
  const letter = (type: string, bytes: string): DeadLetter => {
    const value = Buffer.from(bytes, "hex");
    const data = { $case: "protobuf" as const, value };
    const event = Event.encode({ id: "1", type, key: "k", eventTime: 0, data }).finish();
    return { ...empty, topic: "t", event: Buffer.from(event) };
  };
  const reader = {
    toJson: (type: string, bytes: Uint8Array) => {
      if (type !== "known") throw new Error("no such type");
      return JSON.stringify({ size: bytes.length });
    },
  };
  const readerOf = (topic: string) => (topic === "t" ? reader : undefined);
  expect(payloadOf(letter("known", "0801"), readerOf)).toEqual({ data: { size: 2 } });
  expect(payloadOf(letter("other", "0801"), readerOf)).toEqual({ raw: "0801" });
  expect(payloadOf(letter("known", "0801"), () => undefined)).toEqual({ raw: "0801" });
  expect(payloadOf({ ...empty, event: Buffer.from("ff", "hex") }, readerOf)).toEqual({ raw: "ff" });
  expect(JSON.parse(deadLetterJson(letter("known", "0801"), { data: { size: 2 } }))).toMatchObject({
    reason: "unspecified",
    data: { size: 2 },
  });
});

it("says of a dead letter what happened to it", () => {
  const late = DeadLetter.decode(
    DeadLetter.encode({
      reason: DeadLetter_Reason.REASON_LATE,
      topic: "flights",
      projection: "departures-by-origin",
      version: 1,
      position: undefined,
      eventId: "late-0",
      eventType: "flights.Departure",
      eventKey: "AZO",
      eventTime: 9 * HOUR_MS,
      ingestTime: 0,
      window: { start: 9 * HOUR_MS, end: 10 * HOUR_MS },
      watermark: 0,
      lateness: 90_000,
      error: "",
      codeVersion: "0.1.0",
      event: Buffer.alloc(0),
    }).finish(),
  );
  expect(reasonName(late.reason)).toBe("late");
  const line =
    "1970-01-01 09:00:00  late     departures-by-origin        AZO           late-0            " +
    "1 min 30 s too late for the window of 1970-01-01 09:00:00";
  expect(deadLetterLine(late, { data: { delay: 5 } })).toBe(`${line}  {"delay":5}`);
  expect(deadLetterLine(late, { raw: "0a" })).toBe(`${line}  0x0a`);
});
