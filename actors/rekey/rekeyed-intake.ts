/**
 * The front of a partition of a re-keyed log: what `Intake` is to a topic's. Its events were judged by
 * the routing tasks; here each gets its group, and the watermark that stands before it.
 *
 * J1. The watermark is the least of all upstreams that are not idle (SEMANTICS section 3), as far as
 *     the log has told of them, with each event's own upstream at what stood before that event. With
 *     one upstream it is, event by event, the watermark of that partition. An upstream that the record
 *     batch says has woken up holds back already its events, whosever they are.
 * J2. Where there are several sources, an event's type is that of its own source: the upstream tells
 *     which.
 * J3. Its state is a function of the record batches read, in order; since each says how far all
 *     upstreams had come, it may begin anywhere.
 */
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { GROUP_COLUMN } from "../../projections/definition/rekey.ts";
import type { RekeyPlan } from "../../projections/definition/rekey.ts";
import { Rekeyed } from "../../proto/gen/tidemark/v1/event.ts";
import { ACCEPTED, INVALID } from "../intake/event-batch.ts";
import type { ColumnVector, EventBatch, EventOrigin } from "../intake/event-batch.ts";
import { ScannedBatch } from "../intake/scanned-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { PayloadScanner } from "../kernel/payload-scanner.ts";
import { readVarint, skipField, varintLow, varintSigned } from "../kernel/wire.ts";
import { SnapshotMismatch } from "../task/task-core.ts";
import { MergedWatermark } from "../watermark/watermark.ts";
import { NO_WATERMARK } from "./rekey-writer.ts";

const SNAPSHOT_LAYOUT = 0x746d_6b01;

const UPSTREAMS = 0x1a;
const GROUPS = 0x22;
const PARTITIONS = 0x2a;
const WATERMARKS = 0x4a;

/** The column of the group. */
class GroupColumn implements ColumnVector {
  valid = new Uint8Array(1024);
  readonly values = new Float64Array(0);
  readonly residuals = undefined;
  starts = new Int32Array(1024);
  ends = new Int32Array(1024);

  prepare(rows: number): void {
    if (rows > this.valid.length) {
      const capacity = 2 ** Math.ceil(Math.log2(rows));
      this.valid = new Uint8Array(capacity);
      this.starts = new Int32Array(capacity);
      this.ends = new Int32Array(capacity);
    }
    this.valid.fill(0, 0, rows);
  }
}

/** By route and by the index that a name is found at: the index of the route's own type, or -1. */
const typesByRoute = (rekey: RekeyPlan, names: readonly string[]): readonly Int32Array[] =>
  rekey.routes.map(({ topic, firstType }) =>
    Int32Array.from(names, (name) => {
      const own = topic.types.findIndex((type) => type.name === name);
      return own < 0 ? -1 : firstType + own;
    }),
  );

export class RekeyedIntake extends ScannedBatch implements EventBatch {
  /** Last record batch read; 0 before the first. */
  sequence = 0;
  ingestTime = 0;
  count = 0;
  bytes: Uint8Array = new Uint8Array(0);
  verdicts = new Uint8Array(1024);
  watermarks = new Float64Array(1024);
  ingestClock = 0;
  readonly columns: ReadonlyMap<string, ColumnVector>;

  readonly #rekey: RekeyPlan;
  /** By upstream: which route it belongs to. */
  readonly #routeOf: Int32Array;
  /** By route: the type of each type that the scanner tells; undefined for one route, where they agree. */
  readonly #typesOf: readonly Int32Array[] | undefined;
  readonly #payloads: PayloadScanner;
  readonly #groups = new GroupColumn();
  readonly #watermark: MergedWatermark;
  #upstreamOf = new Int32Array(1024);
  #watermarkOf = new Float64Array(1024);
  /** Decoded when somebody asks where an event comes from. */
  #origins: Rekeyed | undefined;

  constructor(plan: ProjectionPlan, rekey: RekeyPlan) {
    const names = plan.topic.types.map((type) => type.name);
    super(names);
    this.#rekey = rekey;
    this.#routeOf = new Int32Array(rekey.upstreams);
    rekey.routes.forEach(({ firstUpstream }, route) => this.#routeOf.fill(route, firstUpstream));
    this.#typesOf = rekey.routes.length === 1 ? undefined : typesByRoute(rekey, names);
    this.#payloads = new PayloadScanner(plan.topic, plan.columns);
    this.#watermark = new MergedWatermark(rekey.upstreams);
    this.columns = new Map<string, ColumnVector>([
      ...this.#payloads.columns,
      [GROUP_COLUMN.path, this.#groups],
    ]);
  }

  get watermarkAfter(): number {
    return this.#watermark.value;
  }
  get idle(): boolean {
    return this.#watermark.idle;
  }

  readonly originOf = (row: number): EventOrigin => {
    const { rekeyedStart, rekeyedEnd } = this.scanner;
    this.#origins ??= Rekeyed.decode(this.bytes.subarray(rekeyedStart, rekeyedEnd));
    const { partitions, sequences, indexes, ingestTimes } = this.#origins;
    const upstream = partitions[row] ?? 0;
    const source = this.#routeOf[upstream] ?? 0;
    return {
      source,
      partition: upstream - (this.#rekey.routes[source]?.firstUpstream ?? 0),
      sequence: sequences[row] ?? 0,
      index: indexes[row] ?? 0,
      ingestTime: ingestTimes[row] ?? 0,
    };
  };

  /** Reads the next record batch. The answer is valid until the next call. */
  read(sequence: number, bytes: Uint8Array): EventBatch {
    const scanner = this.scanner;
    scanner.scan(bytes);
    this.sequence = sequence;
    this.bytes = bytes;
    this.count = scanner.count;
    this.ingestTime = scanner.ingestTime;
    this.#origins = undefined;
    if (scanner.ingestTime > this.ingestClock) this.ingestClock = scanner.ingestTime;
    this.#prepare();
    this.#readColumns(bytes);
    this.#eachUpstream(bytes, this.#wake);
    this.#judge(bytes);
    this.#eachUpstream(bytes, this.#note);
    this.#watermark.advance();
    return this;
  }

  #prepare(): void {
    const rows = this.scanner.eventStarts.length;
    if (this.verdicts.length < this.count) {
      this.verdicts = new Uint8Array(rows);
      this.watermarks = new Float64Array(rows);
      this.#upstreamOf = new Int32Array(rows);
      this.#watermarkOf = new Float64Array(rows);
    }
    this.#payloads.prepare(this.count);
    this.#groups.prepare(this.count);
    this.#upstreamOf.fill(-1, 0, this.count);
  }

  #judge(bytes: Uint8Array): void {
    const { count, verdicts, watermarks } = this;
    const { dataStarts, dataEnds, typeIndexes, errors } = this.scanner;
    const watermark = this.#watermark;
    for (let row = 0; row < count; row++) {
      const upstream = this.#upstreamOf[row]!;
      if (upstream >= 0) {
        const mayRise = watermark.note(upstream, this.#watermarkOf[row]!, false);
        if (mayRise) watermark.advance();
      }
      watermarks[row] = watermark.value;
      verdicts[row] = ACCEPTED;
      if (this.#typesOf !== undefined && upstream >= 0 && typeIndexes[row]! >= 0) {
        typeIndexes[row] = this.#typesOf[this.#routeOf[upstream]!]![typeIndexes[row]!]!;
      }
      const error = errors.has(row)
        ? errors.get(row)
        : upstream < 0 || typeIndexes[row]! < 0 || this.#groups.valid[row] === 0
          ? "the re-keyed log does not say where the event belongs"
          : this.#payloads.scan(bytes, dataStarts[row]!, dataEnds[row]!, typeIndexes[row]!, row);
      if (error === undefined) continue;
      errors.set(row, error);
      verdicts[row] = INVALID;
      this.#payloads.clear(row);
    }
  }

  /** The columns of `Rekeyed` that every event is judged by. */
  #readColumns(bytes: Uint8Array): void {
    const { rekeyedStart, rekeyedEnd } = this.scanner;
    const groups = this.#groups;
    let at = rekeyedStart;
    let row = 0;
    while (at < rekeyedEnd) {
      const value = readVarint(bytes, at, rekeyedEnd);
      const tag = varintLow;
      if (value < 0) return;
      at = skipField(bytes, value, rekeyedEnd, tag & 7);
      if (at < 0) return;
      if (tag === GROUPS && row < this.count) {
        groups.starts[row] = readVarint(bytes, value, rekeyedEnd);
        groups.ends[row] = at;
        groups.valid[row] = 1;
        row++;
      } else if (tag === PARTITIONS) {
        this.#readPacked(bytes, readVarint(bytes, value, rekeyedEnd), at, (index) => {
          if (varintLow < this.#rekey.upstreams) this.#upstreamOf[index] = varintLow;
        });
      } else if (tag === WATERMARKS) {
        this.#readPacked(bytes, readVarint(bytes, value, rekeyedEnd), at, (index) => {
          const watermark = varintSigned();
          this.#watermarkOf[index] = watermark === NO_WATERMARK ? -Infinity : watermark;
        });
      }
    }
  }

  #readPacked(bytes: Uint8Array, start: number, end: number, take: (row: number) => void): void {
    let at = start;
    for (let row = 0; row < this.count && at >= 0 && at < end; row++) {
      at = readVarint(bytes, at, end);
      if (at >= 0) take(row);
    }
  }

  readonly #wake = (upstream: number, _watermark: number, idle: boolean): void => {
    if (!idle) this.#watermark.wake(upstream);
  };

  /** How far the upstreams have come holds after the record batch's events. */
  readonly #note = (upstream: number, watermark: number, idle: boolean): void => {
    this.#watermark.note(upstream, watermark, idle);
  };

  #eachUpstream(
    bytes: Uint8Array,
    take: (upstream: number, watermark: number, idle: boolean) => void,
  ): void {
    const { rekeyedStart, rekeyedEnd } = this.scanner;
    let at = rekeyedStart;
    while (at < rekeyedEnd) {
      const value = readVarint(bytes, at, rekeyedEnd);
      const tag = varintLow;
      if (value < 0) return;
      at = skipField(bytes, value, rekeyedEnd, tag & 7);
      if (at < 0) return;
      if (tag === UPSTREAMS) {
        this.#readUpstream(bytes, readVarint(bytes, value, rekeyedEnd), at, take);
      }
    }
  }

  #readUpstream(
    bytes: Uint8Array,
    start: number,
    end: number,
    take: (upstream: number, watermark: number, idle: boolean) => void,
  ): void {
    let upstream = 0;
    let watermark = Number.NEGATIVE_INFINITY;
    let idle = false;
    let at = start;
    while (at >= 0 && at < end) {
      const value = readVarint(bytes, at, end);
      const tag = varintLow;
      if (value < 0) return;
      at = skipField(bytes, value, end, tag & 7);
      if (at < 0) return;
      readVarint(bytes, value, end);
      if (tag === 0x08) upstream = varintLow;
      else if (tag === 0x10) watermark = varintSigned();
      else if (tag === 0x18) idle = varintLow !== 0;
    }
    if (upstream < this.#rekey.upstreams) take(upstream, watermark, idle);
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(256);
    out.uint32(SNAPSHOT_LAYOUT);
    out.double(this.sequence);
    out.double(this.ingestClock);
    this.#watermark.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    if (from.uint32() !== SNAPSHOT_LAYOUT) throw new SnapshotMismatch("intake: another layout");
    this.sequence = from.double();
    this.ingestClock = from.double();
    this.#watermark.read(from);
  }
}
