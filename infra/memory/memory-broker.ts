/**
 * All streams of one system in memory, and the handles by which a test looks at them and damages them.
 */
import { Context, Effect, Layer } from "effect";
import {
  DLQ_STREAM,
  PROJECTIONS_STREAM,
  RESULTS_STREAM,
  eventsStream,
} from "../../proto/subjects.ts";
import { MemoryStream } from "./memory-stream.ts";

export interface ReadLimits {
  /** Records and bytes that one `next` gives at most; always at least one record. */
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export const defaultReadLimits: ReadLimits = { recordsMax: 256, bytesMax: 4 * 1024 * 1024 };

export class Broker {
  readonly results = new MemoryStream(RESULTS_STREAM);
  readonly projections = new MemoryStream(PROJECTIONS_STREAM);
  readonly deadLetters = new MemoryStream(DLQ_STREAM);
  readonly limits: ReadLimits;
  /** The clock of the streams of events. */
  now: () => number = () => 0;
  readonly #events = new Map<string, MemoryStream>();
  #appendId = 0;

  constructor(limits: ReadLimits = defaultReadLimits) {
    this.limits = limits;
  }

  /** Streams of events come into being when they are first named. */
  events(topic: string, partition: number): MemoryStream {
    const name = eventsStream(topic, partition);
    let stream = this.#events.get(name);
    if (stream === undefined) {
      stream = new MemoryStream(name);
      stream.now = () => this.now();
      this.#events.set(name, stream);
    }
    return stream;
  }

  /** The topic is gone, with all that it held. */
  removeEvents(topic: string, partitions: number): void {
    for (let partition = 0; partition < partitions; partition++) {
      this.#events.delete(eventsStream(topic, partition));
    }
  }

  target(target: "projections" | "dlq"): MemoryStream {
    return target === "projections" ? this.projections : this.deadLetters;
  }

  /** Identity of one call of an append, however often it is run. */
  nextAppendId(): number {
    this.#appendId += 1;
    return this.#appendId;
  }
}

export class MemoryBroker extends Context.Service<MemoryBroker, Broker>()(
  "infra/memory/MemoryBroker",
) {
  static layer(limits?: ReadLimits): Layer.Layer<MemoryBroker> {
    return Layer.sync(MemoryBroker, () => new Broker(limits));
  }
}

/** As many of the first records as the limits allow. */
export const withinLimits = <R extends { readonly data: Uint8Array }>(
  records: readonly R[],
  limits: ReadLimits,
): readonly R[] => {
  let bytes = 0;
  let count = 0;
  for (const record of records) {
    bytes += record.data.length;
    if (count > 0 && (count >= limits.recordsMax || bytes > limits.bytesMax)) break;
    count += 1;
  }
  return records.slice(0, count);
};

/** Suspends until the stream changes. Interruptible, and nothing is lost by that. */
export const untilChanged = (stream: MemoryStream): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const cancel = stream.onChange(() => resume(Effect.void));
    return Effect.sync(cancel);
  });
