/**
 * A routing task that passes on the partials of a projection's windows, not its events: the first stage of a
 * table that is merged (decision 026). It runs the projection's own partial task over a partition of its topic.
 *
 * R1. Which events count is decided here, once, as for the projection itself; what passes is what its merging task
 *     would read.
 * R2. A partial has the watermark that stood before the event with which it was made, so that it does not matter how
 *     events lie in record batches.
 */
import { Commit, Partial } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { partitionOfBytes } from "../../proto/partitioner.ts";
import type { RekeyPlan } from "../../projections/definition/rekey.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { DraftWriter, emptyRoutedEvent } from "../task/draft-writer.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { watermarkOfEvent } from "./table-core.ts";

const encoder = new TextEncoder();

export const PARTIAL_TYPE = "partial";

export class PartialRoutingCore implements TaskCore<EventBatch> {
  readonly #rekey: RekeyPlan;
  readonly #core: TaskCore<EventBatch>;
  readonly #draft = new DraftWriter([], []);
  readonly #routed = emptyRoutedEvent();

  /** `core`: the partial task's. */
  constructor(rekey: RekeyPlan, core: TaskCore<EventBatch>) {
    this.#rekey = rekey;
    this.#core = core;
  }

  get pendingBytes(): number {
    return this.#draft.bytes;
  }

  get pendingItems(): number {
    return this.#draft.items;
  }

  take(): Draft {
    return this.#draft.take();
  }

  progress(): Progress {
    return this.#core.progress();
  }

  apply(batch: EventBatch): void {
    const before = this.#core.progress().watermark ?? Number.NEGATIVE_INFINITY;
    this.#core.apply(batch);
    if (this.#core.pendingItems === 0) return;
    for (const fragment of this.#core.take().fragments) {
      for (const partial of Commit.decode(fragment).partials) this.#route(partial, batch, before);
    }
  }

  /** `before`: the watermark that stood before the batch. */
  #route(partial: Partial, batch: EventBatch, before: number): void {
    const { key, windowStart, sequence, index } = partial;
    const group = encoder.encode(key);
    const event = Event.encode({
      id: "",
      type: PARTIAL_TYPE,
      key,
      eventTime: windowStart,
      data: { $case: "protobuf", value: Buffer.from(Partial.encode(partial).finish()) },
    }).finish();
    const routed = this.#routed;
    routed.partition = partitionOfBytes(group, 0, group.length, this.#rekey.partitions);
    routed.group = group;
    routed.groupEnd = group.length;
    routed.sequence = sequence;
    routed.index = index;
    routed.ingestTime = batch.ingestTime;
    routed.watermark = watermarkOfEvent(batch, partial, before);
    routed.event = event;
    routed.eventEnd = event.length;
    this.#draft.routed(routed);
  }

  adoptBooks(books: Books): void {
    this.#core.adoptBooks(books);
  }

  digest(): Uint8Array {
    return this.#core.digest();
  }

  snapshot(): Uint8Array {
    return this.#core.snapshot();
  }

  restore(snapshot: Uint8Array): void {
    this.#core.restore(snapshot);
  }
}
