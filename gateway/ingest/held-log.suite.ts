/** Ingest logs for tests: one that answers when the test says so, and one that answers at once. */
import { AppendError, type IngestLog } from "../../actors/ports/ingest-log.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";

export interface HeldAppend {
  readonly topic: string;
  readonly partition: number;
  readonly data: Buffer;
  readonly batch: RecordBatch;
  readonly acknowledge: (sequence?: number) => Promise<void>;
  readonly fail: (kind: "full" | "unavailable", message?: string) => Promise<void>;
}

/** Lets everything run that a settled promise set off. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class HeldLog {
  maxBytes = 1024 * 1024;
  /** Appends that the test has not answered yet. */
  readonly waiting: HeldAppend[] = [];
  /** All appends, in order. */
  readonly appends: HeldAppend[] = [];
  /** All that was acknowledged, by `topic/partition`, in order of the sequence. */
  readonly stored = new Map<string, RecordBatch[]>();
  readonly #arrivals: (() => void)[] = [];

  readonly append = (topic: string, partition: number, data: Uint8Array): Promise<number> =>
    new Promise((resolve, reject) => {
      const batch = RecordBatch.decode(data);
      const held: HeldAppend = {
        topic,
        partition,
        data: Buffer.from(data),
        batch,
        acknowledge: (sequence) => {
          this.#remove(held);
          const stream = this.stored.get(`${topic}/${partition}`) ?? [];
          this.stored.set(`${topic}/${partition}`, stream);
          stream.push(batch);
          resolve(sequence ?? stream.length);
          return settled();
        },
        fail: (kind, message = `injected: ${kind}`) => {
          this.#remove(held);
          reject(new AppendError({ kind, message }));
          return settled();
        },
      };
      this.waiting.push(held);
      this.appends.push(held);
      for (const arrived of this.#arrivals.splice(0)) arrived();
    });

  get service(): IngestLog["Service"] {
    return { append: this.append, maxBytes: this.maxBytes };
  }

  /** Resolves once at least `count` appends wait for an answer. */
  async arrived(count = 1): Promise<void> {
    while (this.waiting.length < count) {
      await new Promise<void>((resolve) => this.#arrivals.push(resolve));
    }
  }

  #remove(held: HeldAppend): void {
    this.waiting.splice(this.waiting.indexOf(held), 1);
  }
}

/** Stores everything at once, unless `fault` says otherwise for a partition. */
export class QuickLog {
  readonly maxBytes = 1024 * 1024;
  fault: (partition: number) => "full" | "unavailable" | undefined = () => undefined;
  /** Acknowledged batches, by `topic/partition`. */
  readonly stored = new Map<string, RecordBatch[]>();

  readonly append = (topic: string, partition: number, data: Uint8Array): Promise<number> => {
    const kind = this.fault(partition);
    if (kind !== undefined) {
      return Promise.reject(new AppendError({ kind, message: `injected: ${kind}` }));
    }
    const stream = this.stored.get(`${topic}/${partition}`) ?? [];
    this.stored.set(`${topic}/${partition}`, stream);
    return Promise.resolve(stream.push(RecordBatch.decode(data)));
  };

  get service(): IngestLog["Service"] {
    return { append: this.append, maxBytes: this.maxBytes };
  }

  /** Every stored event, with where it stands. */
  events(topic = "lab") {
    return [...this.stored].flatMap(([stream, batches]) =>
      stream.startsWith(`${topic}/`)
        ? batches.flatMap((batch, at) =>
            batch.events.map((event, index) => ({
              event,
              partition: Number(stream.slice(topic.length + 1)),
              sequence: at + 1,
              index,
              ingestTime: batch.ingestTime,
            })),
          )
        : [],
    );
  }
}
