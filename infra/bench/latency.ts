/**
 * Time from a gRPC send until a subscriber has the update that the event caused, at a fixed load:
 * probes go beside the load, through the same log and partitions.
 *
 * The load is offered by the clock, not by acknowledgements: a stall makes probes late instead of
 * making them rarer (no coordinated omission).
 */
import { credentials, Metadata } from "@grpc/grpc-js";
import { setTimeout as sleep } from "node:timers/promises";
import { Effect } from "effect";
import { ByteWriter, tagOf } from "../../actors/kernel/byte-writer.ts";
import { QueryServiceClient, type SubscribeResponse } from "../../proto/gen/tidemark/v1/query.ts";
import { EventWriter, typeAndKeyFields } from "../demo/event-writer.ts";
import { OrderedPublisher } from "../demo/ordered-publisher.ts";
import { PROBE } from "./bench-projections.ts";
import type { BenchSystem } from "./bench-system.ts";
import { watchCpu, type CpuUse } from "./cpu.ts";
import { keyOfPartition, type Load } from "./load.ts";

const EVENTS_PER_MESSAGE = 500;
const PROBES_PER_SECOND = 200;
const NUMBER_TAG = tagOf(1, 0);
const SETTLE_MS = 10_000;

export interface Latency {
  readonly eventsPerSecond: number;
  readonly seconds: number;
  readonly probes: number;
  /** Probes whose update was never seen. */
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Load that was really acknowledged, in events a second. */
  readonly acknowledgedPerSecond: number;
  readonly cpu: CpuUse;
}

const quantile = (sorted: Float64Array, share: number): number =>
  sorted.length === 0
    ? NaN
    : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

/** Notes when each probe's number is first seen in an update of its lane. */
class Arrivals {
  readonly #partitions: number;
  readonly #seen: Int32Array;
  readonly at: Float64Array;

  constructor(probes: number, partitions: number) {
    this.#partitions = partitions;
    this.at = new Float64Array(probes);
    this.#seen = new Int32Array(partitions).fill(-1);
  }

  /** An update carries the last probe of its lane; those before it in the lane came with it. */
  see(lane: number, last: number): void {
    const now = performance.now();
    let number = this.#seen[lane]! < 0 ? lane : this.#seen[lane]! + this.#partitions;
    for (; number <= last; number += this.#partitions) this.at[number] = now;
    this.#seen[lane] = Math.max(this.#seen[lane]!, last);
  }

  get missing(): number {
    return this.at.reduce((count, at) => count + Number(at === 0), 0);
  }
}

const subscribed = (
  address: string,
  lanes: readonly string[],
  arrivals: Arrivals,
): Promise<() => void> =>
  new Promise((ready, fail) => {
    const client = new QueryServiceClient(address, credentials.createInsecure());
    const request = { projection: "probes", keyPrefix: "", resumeToken: "", version: 0 };
    const stream = client.subscribe({ ...request, updatesOnly: true }, new Metadata());
    const close = () => {
      stream.cancel();
      client.close();
    };
    stream.on("data", ({ event }: SubscribeResponse) => {
      if (event?.$case !== "update") return;
      const { key, values } = event.value;
      const kind = values[0]?.value?.kind;
      if (kind?.$case === "intValue") arrivals.see(lanes.indexOf(key), Number(kind.value));
    });
    // The gateway sends its headers once later updates are sure to arrive.
    stream.once("metadata", () => ready(close));
    stream.once("error", fail);
  });

const measure = async (
  address: string,
  load: Load,
  partitions: number,
  offered: { readonly eventsPerSecond: number; readonly seconds: number },
): Promise<Omit<Latency, "cpu">> => {
  const { eventsPerSecond, seconds } = offered;
  const probes = PROBES_PER_SECOND * seconds;
  const lanes = Array.from({ length: partitions }, (_, lane) => keyOfPartition(lane, partitions));
  const arrivals = new Arrivals(probes, partitions);
  const close = await subscribed(address, lanes, arrivals);
  const background = new OrderedPublisher({ address, inFlightMax: 4_096 });
  const foreground = new OrderedPublisher({ address, inFlightMax: 4_096 });
  const writer = new EventWriter("bench");
  const payload = new ByteWriter(16);
  const sentAt = new Float64Array(probes);
  const fields = lanes.map((key) => typeAndKeyFields(PROBE, key));
  const startedAt = performance.now();
  let sent = 0;
  let probed = 0;
  try {
    while (probed < probes) {
      const elapsed = performance.now() - startedAt;
      while (sent + EVENTS_PER_MESSAGE <= (elapsed / 1_000) * eventsPerSecond) {
        await background.publish(load.request(writer, EVENTS_PER_MESSAGE));
        sent += EVENTS_PER_MESSAGE;
      }
      while (probed < probes && probed <= (elapsed / 1_000) * PROBES_PER_SECOND) {
        payload.reset();
        payload.varint(NUMBER_TAG);
        payload.varint(probed);
        const lane = probed % partitions;
        // At the load's own time: a probe from the future would make the load late.
        writer.add("probe-", probed, fields[lane]!, load.time, payload);
        // From when it was due: that the generator itself was late is part of what a user would see.
        sentAt[probed] = startedAt + (probed / PROBES_PER_SECOND) * 1_000;
        await foreground.publish({ bytes: writer.finish(), events: 1 });
        probed++;
      }
      await sleep(1);
    }
    await Promise.all([background.flush(), foreground.flush()]);
    const acknowledgedMs = performance.now() - startedAt;
    const patience = performance.now() + SETTLE_MS;
    while (arrivals.missing > 0 && performance.now() < patience) await sleep(5);
    const taken = arrivals.at.map((at, number) => at - sentAt[number]!);
    const seen = taken.filter((_, number) => arrivals.at[number]! > 0).sort();
    return {
      eventsPerSecond,
      seconds,
      probes,
      lost: arrivals.missing,
      p50Ms: quantile(seen, 0.5),
      p99Ms: quantile(seen, 0.99),
      maxMs: quantile(seen, 1),
      acknowledgedPerSecond: (sent / acknowledgedMs) * 1_000,
    };
  } finally {
    background.close();
    foreground.close();
    close();
  }
};

export const measureLatency = (
  { system, groups }: BenchSystem,
  load: Load,
  offered: { readonly eventsPerSecond: number; readonly seconds: number },
): Effect.Effect<Latency, unknown> =>
  Effect.gen(function* () {
    const cpu = watchCpu(groups);
    const partitions = system.config.topics[0]!.partitions;
    const measured = yield* Effect.tryPromise({
      try: () => measure(system.run.gateway, load, partitions, offered),
      catch: (error) => error,
    });
    return { ...measured, cpu: cpu() };
  });
