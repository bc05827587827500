/**
 * How far a partition's task is, and when it publishes early: what cores of every kind keep alike.
 *
 * P1. Everything here is a function of the log read so far.
 */
import type { EmitDefinition } from "../../projections/definition/definition.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { SlotDigest } from "../kernel/slot-digest.ts";
import { SnapshotMismatch } from "./task-core.ts";
import type { Progress } from "./task-core.ts";

export class TaskProgress {
  /** Position of the last event considered. */
  sequence = 0;
  index = 0;
  watermark = Number.NEGATIVE_INFINITY;
  idle = false;
  ingestClock = 0;

  at(sequence: number, index: number): void {
    this.sequence = sequence;
    this.index = index;
  }

  /** At the end of a batch: all of its events have been considered. */
  pass(batch: EventBatch): void {
    this.idle = batch.idle;
    this.ingestClock = batch.ingestClock;
  }

  /** Whether changes are published after the batch at hand, before `pass`: see EmitDefinition. */
  publishesEarly(emit: EmitDefinition, batch: EventBatch): boolean {
    if (emit.mode === "each") return true;
    if (emit.mode === "final" || emit.everyMs === undefined) return false;
    const { everyMs } = emit;
    const periods = (clock: number) => Math.floor(clock / everyMs);
    return periods(batch.ingestClock) > periods(this.ingestClock);
  }

  report(books: Books): Progress {
    return {
      inputSequence: this.sequence,
      watermark: Number.isFinite(this.watermark) ? this.watermark : undefined,
      idle: this.idle,
      ingestTime: this.ingestClock,
      books: { ...books },
      retainFrom: 0,
    };
  }

  /** The digest of a task: of its progress and of the sums of its parts. */
  digest(...parts: readonly Pick<SlotDigest, "low" | "high">[]): Uint8Array {
    const out = new ByteWriter(256);
    for (const { low, high } of parts) {
      out.uint32(low >>> 0);
      out.uint32(high >>> 0);
    }
    this.write(out);
    const lanes = new Int32Array(4);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    return new Uint8Array(lanes.buffer.slice(0, 8));
  }

  write(out: ByteWriter): void {
    out.double(this.sequence);
    out.uint32(this.index);
    out.double(this.watermark);
    out.byte(this.idle ? 1 : 0);
    out.double(this.ingestClock);
  }

  read(from: ByteReader): void {
    this.sequence = from.double();
    this.index = from.uint32();
    this.watermark = from.double();
    this.idle = from.byte() === 1;
    this.ingestClock = from.double();
  }
}

/** What a snapshot of a task begins with. */
export const writeSnapshotHead = (out: ByteWriter, layout: number, digest: Uint8Array): void => {
  out.uint32(layout);
  out.block(digest);
};

/** Throws SnapshotMismatch for a snapshot of another layout or definition. */
export const readSnapshotHead = (from: ByteReader, layout: number, digest: Uint8Array): void => {
  if (from.uint32() !== layout) throw new SnapshotMismatch("task: another layout");
  if (!from.block().every((byte, i) => byte === digest[i])) {
    throw new SnapshotMismatch("task: another definition");
  }
};
