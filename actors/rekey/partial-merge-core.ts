/**
 * A merging task that reads the partials of its groups from a log of re-keyed partials, not from RESULTS: the
 * second stage of a table that is merged (decision 026).
 *
 * P1. Within a record batch each partial moves its own partition to the watermark that stood before it, as events do
 *     (J1 of RekeyedIntake). How far all partitions are holds after its partials; that one is awake, before.
 * P2. All else is the merging core's: this only tells it as commits what a record batch holds.
 * P3. Its books are of partials: each counts.
 * P4. A record batch is read even if it tells nothing, as the first one of a log does: the position is that of the
 *     log, not that of the last thing told.
 */
import { Commit, Partial } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch, Rekeyed } from "../../proto/gen/tidemark/v1/event.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { emptyBooks, readBooks, writeBooks } from "../task/books-keeper.ts";
import type { MergeInput } from "../task/merge-core.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { NO_WATERMARK } from "./rekey-writer.ts";

const NO_COMMIT = { ...Commit.decode(new Uint8Array(0)), partCount: 1 };
const NOT_REKEYED = Rekeyed.decode(new Uint8Array(0));

const finite = (watermark: number | undefined): number | undefined =>
  watermark === NO_WATERMARK ? undefined : watermark;

/** What is told of a partition. */
interface Told {
  readonly partition: number;
  readonly partials?: Partial[];
  readonly watermark?: number | undefined;
  readonly idle?: boolean;
}

export class PartialMergeCore implements TaskCore<EventBatch> {
  readonly #merge: TaskCore<MergeInput>;
  #sequence = 0;
  #idle = false;
  #books = emptyBooks();

  constructor(merge: TaskCore<MergeInput>) {
    this.#merge = merge;
  }

  get pendingBytes(): number {
    return this.#merge.pendingBytes;
  }

  get pendingItems(): number {
    return this.#merge.pendingItems;
  }

  take(): Draft {
    return this.#merge.take();
  }

  progress(): Progress {
    return {
      ...this.#merge.progress(),
      inputSequence: this.#sequence,
      idle: this.#idle,
      books: { ...this.#books },
      retainFrom: 0,
    };
  }

  apply({ sequence, bytes, idle }: EventBatch): void {
    const { events, rekeyed, ingestTime } = RecordBatch.decode(bytes);
    const tell = (told: Told): void =>
      this.#merge.apply({ sequence, commit: { ...NO_COMMIT, ingestTime, ...told } });
    const { partitions, watermarks, upstreams } = rekeyed ?? NOT_REKEYED;
    for (const upstream of upstreams) {
      if (!upstream.idle) tell({ partition: upstream.partition });
    }
    for (let row = 0; row < events.length;) {
      const partition = partitions[row]!;
      const before = watermarks[row]!;
      const partials: Partial[] = [];
      do {
        const { data } = events[row]!;
        if (data?.$case === "protobuf") partials.push(Partial.decode(data.value));
        row++;
      } while (row < events.length && partitions[row] === partition && watermarks[row] === before);
      tell({ partition, watermark: finite(before) });
      tell({ partition, partials });
    }
    for (const { partition, watermark, idle: isIdle } of upstreams) {
      tell({ partition, watermark: finite(watermark), idle: isIdle });
    }
    this.#sequence = sequence;
    this.#idle = idle;
    this.#books.events += events.length;
    this.#books.counted += events.length;
  }

  adoptBooks(books: Books): void {
    this.#books = { ...books };
  }

  digest(): Uint8Array {
    return this.#merge.digest();
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    out.double(this.#sequence);
    out.byte(this.#idle ? 1 : 0);
    writeBooks(this.#books, out);
    out.block(this.#merge.snapshot());
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    this.#sequence = from.double();
    this.#idle = from.byte() === 1;
    this.#books = readBooks(from);
    this.#merge.restore(from.block());
  }
}
