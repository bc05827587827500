/** A topic for tests, with every kind of field that a schema can have. */
import { planTopic } from "../../projections/definition/plan-projection.ts";
import type { TopicDefinition } from "../../projections/definition/definition.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { Event, type Event as EventMessage } from "../../proto/gen/tidemark/v1/event.ts";
import type { GatewayClock } from "../clock.ts";
import { jsonCodec } from "./json-payload.ts";
import type { IngestTopic } from "./topic-gate.ts";

export const labSchemas = parseSchema(`
  syntax = "proto3";
  package lab;
  import "google/protobuf/timestamp.proto";
  enum Grade { GRADE_UNSPECIFIED = 0; GOOD = 1; BAD = 2; }
  message Probe { string name = 1; int64 serial = 2; Probe next = 3; }
  message Reading {
    sint32 delay = 1;
    int64 count = 2;
    string place = 3;
    double ratio = 4;
    float weight = 5;
    repeated string tags = 6;
    repeated sint64 steps = 7;
    repeated double speeds = 8;
    repeated fixed32 codes = 9;
    Grade grade = 10;
    Probe probe = 11;
    bytes raw = 12;
    bool ok = 13;
    fixed64 big = 14;
    sfixed32 small = 15;
    repeated Probe probes = 16;
    map<string, uint64> totals = 17;
    google.protobuf.Timestamp made = 18;
    uint64 far = 100;
  }
  message Note { string text = 1; }
`);

export const READING = "lab.Reading";
export const NOTE = "lab.Note";

/** The moment at which all of these tests play. */
export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

export const labDefinition: TopicDefinition = {
  name: "lab",
  partitions: 4,
  schemas: ["schema.proto"],
  types: [READING, NOTE],
  maxOutOfOrdernessMs: 10_000,
  maxFutureSkewMs: 300_000,
  dedupeHorizonMs: 600_000,
  idleAfterMs: 30_000,
  retentionMs: 604_800_000,
  maxBytes: 2 ** 40,
};

export const labTopic = (partitions = 4, name = "lab"): IngestTopic => ({
  plan: planTopic({ ...labDefinition, name, partitions }, labSchemas),
  json: jsonCodec(labSchemas),
});

export const readingBytes = (json: object): Buffer =>
  Buffer.from(labSchemas.toBinary(READING, JSON.stringify(json)));

/** A valid event, except for what is overridden. */
export const labEvent = (overrides: Partial<EventMessage> = {}): EventMessage => ({
  id: "id-1",
  type: READING,
  key: "key-1",
  eventTime: NOW - 1000,
  data: { $case: "protobuf", value: readingBytes({ delay: 3 }) },
  ...overrides,
});

export const eventBytes = (event: EventMessage): Buffer =>
  Buffer.from(Event.encode(event).finish());

/** A clock that stands still until a test moves it; timers fire by hand. */
export class HeldClock implements GatewayClock {
  now = NOW;
  readonly timers = new Set<() => void>();
  readonly wallMs = (): number => this.now;
  readonly monotonicMs = (): number => this.now - NOW;
  readonly after = (_delayMs: number, run: () => void): (() => void) => {
    this.timers.add(run);
    return () => this.timers.delete(run);
  };
}
