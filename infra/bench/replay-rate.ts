/**
 * Replay rate against a control: how fast a projection is rebuilt from the log, and how fast the same
 * log can be read at all by the same client, without looking at it.
 */
import { Clock, Effect, Layer } from "effect";
import { EventLog } from "../../actors/ports/event-log.ts";
import { makeReplay } from "../../actors/replay/replay.ts";
import { GatewayClient } from "../cli/gateway-client.ts";
import { untilGatewayHasRead } from "../cli/gateway-position.ts";
import { Faults, MemoryBroker, memorySnapshotStore } from "../memory/index.ts";
import { natsLayer } from "../nats/index.ts";
import { loadPlans } from "../processes/plans.ts";
import type { BenchSystem } from "./bench-system.ts";
import { watchCpu, type CpuUse } from "./cpu.ts";

export interface ReplayRate {
  readonly events: number;
  readonly replayMs: number;
  /** Reading the same record batches and dropping them: the mean of a run before and one after. */
  readonly controlMs: number;
  readonly cpu: CpuUse;
  readonly controlCpu: CpuUse;
  readonly equalResults: number;
  readonly differences: number;
}

/** Reads every partition to its end, side by side; returns the number of record batches. */
const readAll = (topic: string, partitions: number) =>
  Effect.gen(function* () {
    const log = yield* EventLog;
    const counts = yield* Effect.forEach(
      Array.from({ length: partitions }, (_, partition) => partition),
      (partition) =>
        Effect.gen(function* () {
          const { first, last } = yield* log.bounds(topic, partition);
          if (last < first) return 0;
          const reader = yield* log.open(topic, partition, first);
          for (let position = first - 1; position < last;) {
            position = (yield* reader.next).at(-1)!.sequence;
          }
          return last - first + 1;
        }).pipe(Effect.scoped),
      { concurrency: "unbounded" },
    );
    return counts.reduce((sum, count) => sum + count, 0);
  });

export const measureReplay = (
  { system, groups }: BenchSystem,
  projection: string,
): Effect.Effect<ReplayRate, unknown> => {
  const { config, run } = system;
  const services = Layer.mergeAll(
    natsLayer({ url: run.natsUrl, name: "tidemark-bench-replay" }),
    memorySnapshotStore.pipe(Layer.provide(Layer.mergeAll(MemoryBroker.layer(), Faults.layer()))),
  );
  const measured = Effect.gen(function* () {
    const { projections } = yield* loadPlans(config);
    const plan = projections.find(({ definition }) => definition.name === projection)!;
    const topic = plan.topic.definition;
    const timed = <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.gen(function* () {
        const cpu = watchCpu(groups);
        const startedAt = yield* Clock.currentTimeMillis;
        const value = yield* work;
        return { value, ms: (yield* Clock.currentTimeMillis) - startedAt, cpu: cpu() };
      });
    const control = timed(readAll(topic.name, topic.partitions));
    const before = yield* control;
    const replay = yield* makeReplay({ plan });
    const built = yield* timed(replay.build);
    const after = yield* control;
    yield* untilGatewayHasRead(run, built.value.resultsSequence);
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new GatewayClient(run.gateway)),
      (opened) => Effect.sync(() => opened.close()),
    );
    const comparison = yield* replay.compare(built.value, (version) =>
      client.listResults({ projection, keyPrefix: "", from: undefined, to: undefined, version }),
    );
    yield* replay.abandon;
    return {
      events: built.value.events,
      replayMs: built.ms,
      controlMs: (before.ms + after.ms) / 2,
      cpu: built.cpu,
      controlCpu: after.cpu,
      equalResults: comparison?.equal ?? 0,
      differences: comparison?.differences ?? Infinity,
    };
  });
  return measured.pipe(Effect.provide(services), Effect.scoped);
};
