/** Events a second from a gRPC client to committed, readable results, fsync before acknowledgement. */
import { Clock, Effect } from "effect";
import { untilGatewayHasRead } from "../cli/gateway-position.ts";
import { GatewayClient } from "../cli/gateway-client.ts";
import { Progress } from "../cli/terminal/progress.ts";
import type { Output } from "../cli/terminal/terminal.ts";
import { awaitResults } from "../demo/await-results.ts";
import { EventWriter } from "../demo/event-writer.ts";
import { OrderedPublisher } from "../demo/ordered-publisher.ts";
import type { BenchSystem } from "./bench-system.ts";
import { WINDOW_MS, type Load } from "./load.ts";
import { watchCpu, type CpuUse } from "./cpu.ts";

const REQUESTS_IN_FLIGHT = 64;
/** Of one event each: as many as the gateway reads ahead. */
const SINGLES_IN_FLIGHT = 1_000;

export interface Throughput {
  readonly eventsPerMessage: number;
  readonly events: number;
  readonly bytesPerEvent: number;
  /** Until the last acknowledgement, and until the last result was committed and readable. */
  readonly acknowledgedMs: number;
  readonly resultsMs: number;
  readonly cpu: CpuUse;
  readonly windows: number;
  readonly wrongWindows: number;
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error });

const send = (
  load: Load,
  events: number,
  eventsPerMessage: number,
  address: string,
  progress: Progress,
) =>
  attempt(async () => {
    const writer = new EventWriter("bench");
    const publisher = new OrderedPublisher({
      address,
      inFlightMax: eventsPerMessage === 1 ? SINGLES_IN_FLIGHT : REQUESTS_IN_FLIGHT,
      onStored: () => progress.update(publisher.stored),
    });
    try {
      for (let left = events; left > 0; left -= eventsPerMessage) {
        await publisher.publish(load.request(writer, Math.min(left, eventsPerMessage)));
      }
      await publisher.publish(load.heartbeats(writer));
      await publisher.flush();
    } finally {
      publisher.close();
    }
  });

/** Compares every window of the run; returns how many there are and how many are wrong. */
const check = (load: Load, from: number, address: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new GatewayClient(address)),
    (client) =>
      attempt(async () => {
        const actual = client.listResults({
          projection: "readings",
          keyPrefix: "",
          from,
          to: load.endTime,
          version: 0,
        });
        let windows = 0;
        let wrong = 0;
        for (const expected of load.expected()) {
          windows++;
          const { value: result, done } = await actual.next();
          const right =
            done !== true &&
            result.key === expected.key &&
            result.window?.start === expected.windowStart &&
            result.window.end === expected.windowStart + WINDOW_MS &&
            JSON.stringify(result.values.map(({ value }) => value?.kind?.value)) ===
              JSON.stringify([String(expected.readings), String(expected.total)]);
          if (!right) wrong++;
        }
        while ((await actual.next()).done !== true) wrong++;
        return { windows, wrong };
      }),
    (client) => Effect.sync(() => client.close()),
  );

export const measureThroughput = (
  { system, link, groups }: BenchSystem,
  load: Load,
  options: {
    readonly events: number;
    readonly eventsPerMessage: number;
    readonly startTime: number;
    readonly output: Output;
  },
): Effect.Effect<Throughput, unknown> =>
  Effect.gen(function* () {
    const { events, eventsPerMessage, startTime, output } = options;
    const clock = yield* Clock.Clock;
    const now = () => clock.currentTimeMillisUnsafe();
    const { run, config } = system;
    const progress = new Progress({
      output,
      label: eventsPerMessage === 1 ? "Single events" : `${eventsPerMessage} a message`,
      unit: "events",
      total: events,
      now,
    });
    const cpu = watchCpu(groups);
    const startedAt = now();
    yield* send(load, events, eventsPerMessage, run.gateway, progress);
    const acknowledgedAt = now();
    const seen = yield* awaitResults({
      link,
      plan: config,
      topic: "bench",
      run,
      nowMs: now,
      onProgress: () => undefined,
    });
    const last = seen.tasks.filter(({ kind }) => kind !== "partial");
    yield* untilGatewayHasRead(run, Math.max(...last.map(({ marker }) => marker.sequence)));
    const resultsAt = now();
    const used = cpu();
    progress.finish();
    const { windows, wrong } = yield* check(load, startTime, run.gateway);
    return {
      eventsPerMessage,
      events,
      bytesPerEvent: load.bytes / load.events,
      acknowledgedMs: acknowledgedAt - startedAt,
      resultsMs: resultsAt - startedAt,
      cpu: used,
      windows,
      wrongWindows: wrong,
    };
  });
