/** Publishes slots into the draft, as updates or, for a partial task, as partials. */
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { FINALIZED, UNPUBLISHED } from "../window/slot-store.ts";
import type { SlotStore } from "../window/slot-store.ts";
import type { Publisher } from "../window/window-operator.ts";
import type { DraftWriter, Publication } from "./draft-writer.ts";
import type { TaskProgress } from "./task-progress.ts";

export class DraftPublisher implements Publisher {
  /** The record batch at hand, for events that cause publications themselves. */
  batchSequence = 0;
  readonly #draft: DraftWriter;
  readonly #store: SlotStore;
  readonly #merged: boolean;
  readonly #progress: TaskProgress;
  readonly #publication: Publication;

  constructor(
    draft: DraftWriter,
    store: SlotStore,
    progress: TaskProgress,
    task: { readonly merged: boolean; readonly partition: number },
  ) {
    this.#progress = progress;
    this.#draft = draft;
    this.#store = store;
    this.#merged = task.merged;
    this.#publication = {
      key: new Uint8Array(0),
      windowStart: 0,
      windowEnd: 0,
      kind: Kind.KIND_FINAL,
      revision: 0,
      ordinal: 0,
      watermark: 0,
      partition: task.partition,
      sequence: 0,
      index: 0,
    };
  }

  early(slot: number, watermark: number): void {
    this.#publish(slot, Kind.KIND_EARLY, watermark);
  }

  final(slot: number, watermark: number): void {
    this.#publish(slot, Kind.KIND_FINAL, watermark);
  }

  change(slot: number, watermark: number, row: number): void {
    this.#progress.at(this.batchSequence, row);
    // Of a partial task's publications only those made at the close are final: see MergeCore, U3.
    const first = (this.#store.flags[slot]! & FINALIZED) === 0 && !this.#merged;
    this.#publish(slot, first ? Kind.KIND_FINAL : Kind.KIND_CORRECTION, watermark);
  }

  retraction(slot: number, watermark: number, row: number): void {
    this.#progress.at(this.batchSequence, row);
    this.#publish(slot, Kind.KIND_RETRACTION, watermark);
  }

  #publish(slot: number, kind: Kind, watermark: number): void {
    const { revisions, flags, keyIds, keys, starts, ends, since, everyEvents } = this.#store;
    const publication = this.#publication;
    publication.key = keys.bytesOf(keyIds[slot]!);
    publication.windowStart = starts[slot]!;
    publication.windowEnd = ends[slot]!;
    publication.kind = kind;
    publication.revision = ++revisions[slot]!;
    publication.watermark = watermark;
    publication.sequence = this.#progress.sequence;
    publication.index = this.#progress.index;
    flags[slot]! &= ~UNPUBLISHED;
    if (everyEvents > 0) since[slot] = 0;
    if (kind !== Kind.KIND_EARLY) flags[slot]! |= FINALIZED;
    if (this.#merged) this.#draft.partial(publication, slot, this.#store.accumulators);
    else this.#draft.update(publication, slot);
  }
}
