import { afterAll, beforeAll, expect, it } from "vitest";
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";
import { PublishStreamRequest } from "../../proto/gen/tidemark/v1/ingest.ts";
import type { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { openFlightFile, type FlightFile } from "./flight-file.ts";
import { lateEventId, planSending, requestsOf, type SendingPlan } from "./sending-plan.ts";

const MINUTE_MS = 60_000;
const FLIGHTS = 5_000;

const topic = { name: "flights", maxOutOfOrdernessMs: 10 * MINUTE_MS } as TopicDefinition;
const projections = [
  { window: { sizeMs: 60 * MINUTE_MS }, allowedLatenessMs: 0 },
  { window: { sizeMs: 24 * 60 * MINUTE_MS }, allowedLatenessMs: 60 * MINUTE_MS },
];

let file: FlightFile;
let plan: SendingPlan;
let events: Event[];

const sentBy = async (sending: SendingPlan): Promise<Event[]> => {
  const sent: Event[] = [];
  for await (const request of requestsOf(file, sending)) {
    const decoded = PublishStreamRequest.decode(request.bytes);
    expect(decoded.topic).toBe("flights");
    expect(decoded.events.length).toBe(request.events);
    sent.push(...decoded.events);
  }
  return sent;
};

beforeAll(async () => {
  file = await openFlightFile(FLIGHTS);
  plan = planSending(file, topic, projections as ProjectionDefinition[], 7);
  events = await sentBy(plan);
});
afterAll(() => file.close());

it("sends every flight once, the late events and a heartbeat for every origin", () => {
  const counted = (prefix: string) =>
    new Set(events.map(({ id }) => id).filter((id) => id.startsWith(prefix))).size;
  expect(events.length).toBe(plan.events);
  expect(counted("flight-")).toBe(FLIGHTS);
  expect(counted("late-")).toBe(plan.lateEvents);
  expect(counted("heartbeat-")).toBe(file.origins.length);
  expect(plan.lateEvents).toBe(250);
});

it("carries what the file says", () => {
  expect(events.find(({ id }) => id === "flight-2")).toEqual({
    id: "flight-2",
    type: "flights.Departure",
    key: "MCI",
    eventTime: Date.UTC(2001, 0, 1, 0, 1),
    data: {
      $case: "protobuf",
      // delay 14 (zigzag 28), distance 405, MCI to MDW.
      value: Buffer.from([8, 28, 16, 149, 3, 26, 3, 77, 67, 73, 34, 3, 77, 68, 87]),
    },
  });
});

it("disorders flights, but less than the topic tolerates", () => {
  let newest = -Infinity;
  let disordered = 0;
  for (const { id, eventTime } of events) {
    if (!id.startsWith("flight-")) continue;
    expect(eventTime).toBeGreaterThan(newest - topic.maxOutOfOrdernessMs);
    if (eventTime! < newest) disordered++;
    newest = Math.max(newest, eventTime!);
  }
  expect(disordered).toBeGreaterThan(FLIGHTS / 10);
});

it("sends late events only into windows that have expired in every projection", () => {
  const watermarks = new Map<string, number>();
  let late = 0;
  for (const { id, key, eventTime } of events) {
    if (id.startsWith("late-")) {
      expect(id).toBe(lateEventId(late++));
      for (const { window, allowedLatenessMs } of projections) {
        const end = (Math.floor(eventTime! / window.sizeMs) + 1) * window.sizeMs;
        expect(watermarks.get(key)).toBeGreaterThanOrEqual(end - 1 + allowedLatenessMs);
      }
    } else {
      const watermark = eventTime! - topic.maxOutOfOrdernessMs - 1;
      watermarks.set(key, Math.max(watermarks.get(key) ?? -Infinity, watermark));
    }
  }
  expect(late).toBe(plan.lateEvents);
});

it("closes every window of every partition in the end", () => {
  for (const { id, eventTime } of events.slice(-file.origins.length)) {
    expect(id).toMatch(/^heartbeat-/);
    for (const { window, allowedLatenessMs } of projections) {
      const lastEnd = file.lastTime + window.sizeMs + allowedLatenessMs;
      expect(eventTime! - topic.maxOutOfOrdernessMs - 1).toBeGreaterThanOrEqual(lastEnd);
    }
  }
});

it("sends the same events in the same order for the same seed, and another for another", async () => {
  const again = await sentBy(plan);
  expect(again).toEqual(events);
  const other = await sentBy({ ...plan, seed: 8 });
  expect(other).not.toEqual(events);
  const ids = (sent: Event[]) => sent.map(({ id }) => id).sort();
  expect(ids(other)).toEqual(ids(events));
});
