/**
 * The front of a partition: decodes each record batch once and judges each event, in log order, the
 * same way for every projection of the topic (SEMANTICS sections 2 and 3).
 *
 * I1. The order of judgement: duplicate, invalid, future, accepted. The first occurrence of an id
 *     in the log is the one that counts, whatever became of it.
 * I2. Only accepted events move the watermark; each row notes the watermark before it.
 * I3. Its state is a function of the record batches read, in order.
 */
import type { FieldColumn, TopicPlan } from "../../projections/definition/plan.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128, murmur32 } from "../kernel/hash.ts";
import { PayloadScanner } from "../kernel/payload-scanner.ts";
import { SnapshotMismatch } from "../task/task-core.ts";
import { Watermark } from "../watermark/watermark.ts";
import { DedupeTable } from "./dedupe-table.ts";
import { ScannedBatch } from "./scanned-batch.ts";
import { ACCEPTED, CONFLICT, DUPLICATE, FUTURE, INVALID } from "./event-batch.ts";
import type { ColumnVector, EventBatch } from "./event-batch.ts";

const ID_STRIDE = 4;
const SNAPSHOT_LAYOUT = 0x746d_6902;

export class Intake extends ScannedBatch implements EventBatch {
  /** Last record batch read; 0 before the first. */
  sequence = 0;
  ingestTime = 0;
  count = 0;
  bytes: Uint8Array = new Uint8Array(0);
  verdicts = new Uint8Array(1024);
  watermarks = new Float64Array(1024);
  ingestClock = 0;
  readonly columns: ReadonlyMap<string, ColumnVector>;

  readonly #payloads: PayloadScanner;
  readonly #dedupe: DedupeTable;
  readonly #watermark: Watermark;
  readonly #maxFutureSkewMs: number;
  readonly #idHash = new Int32Array(4);
  /** Four words a row: three of the id, one of the payload. */
  #idHashes = new Int32Array(1024 * ID_STRIDE);

  /** `columns`: every payload field that some projection of the topic reads, each path once. */
  constructor(topic: TopicPlan, columns: readonly FieldColumn[]) {
    super(topic.types.map((type) => type.name));
    this.#payloads = new PayloadScanner(topic, columns);
    this.#dedupe = new DedupeTable(topic.definition.dedupeHorizonMs);
    this.#watermark = new Watermark(topic.definition.maxOutOfOrdernessMs);
    this.#maxFutureSkewMs = topic.definition.maxFutureSkewMs;
    this.columns = this.#payloads.columns;
  }

  get inputSequence(): number {
    return this.sequence;
  }

  get watermarkAfter(): number {
    return this.#watermark.value;
  }
  get idle(): boolean {
    return this.#watermark.idle;
  }

  /** Reads the next record batch. The answer is valid until the next call. */
  read(sequence: number, bytes: Uint8Array): EventBatch {
    const scanner = this.scanner;
    scanner.scan(bytes);
    this.sequence = sequence;
    this.bytes = bytes;
    this.count = scanner.count;
    this.ingestTime = scanner.ingestTime;
    if (scanner.ingestTime > this.ingestClock) this.ingestClock = scanner.ingestTime;
    if (this.verdicts.length < this.count) {
      this.verdicts = new Uint8Array(scanner.eventStarts.length);
      this.watermarks = new Float64Array(scanner.eventStarts.length);
    }
    this.#payloads.prepare(this.count);
    this.#judge(bytes);
    if (!Number.isNaN(scanner.tickTime)) this.#watermark.tick(scanner.tickTime);
    return this;
  }

  #judge(bytes: Uint8Array): void {
    const { count, verdicts, watermarks, ingestTime } = this;
    const scanner = this.scanner;
    const payloads = this.#payloads;
    const watermark = this.#watermark;
    const { dataStarts, dataEnds, typeIndexes, eventTimes, errors } = scanner;
    const latest = ingestTime + this.#maxFutureSkewMs;
    this.#sight(bytes);
    for (let row = 0; row < count; row++) {
      watermarks[row] = watermark.value;
      if (verdicts[row] !== ACCEPTED) continue;
      if (errors.size > 0 && errors.has(row)) {
        verdicts[row] = INVALID;
        payloads.clear(row);
        continue;
      }
      const dataStart = dataStarts[row]!;
      const error = payloads.scan(bytes, dataStart, dataEnds[row]!, typeIndexes[row]!, row);
      if (error !== undefined) {
        errors.set(row, error);
        verdicts[row] = INVALID;
        continue;
      }
      const eventTime = eventTimes[row]!;
      if (eventTime > latest) {
        verdicts[row] = FUTURE;
        continue;
      }
      verdicts[row] = ACCEPTED;
      watermark.observe(eventTime, ingestTime);
    }
  }

  /**
   * Marks duplicates and conflicts in `verdicts`, everything else as accepted for now. Hashing and
   * looking up are loops of their own: the look-ups then wait for memory together, not in turn.
   */
  #sight(bytes: Uint8Array): void {
    const { count, verdicts } = this;
    const { idStarts, idEnds, keyStarts, keyEnds, dataStarts, dataEnds } = this.scanner;
    const { typeIndexes, eventTimes } = this.scanner;
    const id = this.#idHash;
    if (this.#idHashes.length < count * ID_STRIDE) {
      this.#idHashes = new Int32Array(verdicts.length * ID_STRIDE);
    }
    const hashes = this.#idHashes;
    for (let row = 0; row < count; row++) {
      murmur128(bytes, idStarts[row]!, idEnds[row]!, 0, id);
      const time = eventTimes[row]!;
      let payload = murmur32(bytes, dataStarts[row]!, dataEnds[row]!, typeIndexes[row]!);
      payload = murmur32(bytes, keyStarts[row]!, keyEnds[row]!, payload);
      const at = row * ID_STRIDE;
      hashes[at] = id[0]!;
      hashes[at + 1] = id[1]!;
      hashes[at + 2] = id[2]!;
      hashes[at + 3] = payload ^ time ^ Math.floor(time / 4_294_967_296);
    }
    const dedupe = this.#dedupe;
    const clock = this.ingestClock;
    for (let row = 0; row < count; row++) {
      verdicts[row] = ACCEPTED;
      if (idStarts[row] === idEnds[row]) continue;
      const at = row * ID_STRIDE;
      const sighting = dedupe.see(
        hashes[at]!,
        hashes[at + 1]!,
        hashes[at + 2]!,
        hashes[at + 3]!,
        clock,
      );
      if (sighting !== "first") verdicts[row] = sighting === "duplicate" ? DUPLICATE : CONFLICT;
    }
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(1024 + this.#dedupe.size * 20);
    out.uint32(SNAPSHOT_LAYOUT);
    out.double(this.sequence);
    out.double(this.ingestClock);
    this.#watermark.write(out);
    this.#dedupe.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    if (from.uint32() !== SNAPSHOT_LAYOUT) throw new SnapshotMismatch("intake: another layout");
    this.sequence = from.double();
    this.ingestClock = from.double();
    this.#watermark.read(from);
    this.#dedupe.read(from);
  }
}
