/**
 * Reads the payload fields that projections mention into columns, one event a row, straight from
 * the bytes. The whole payload is walked, so malformed payloads are found whichever fields are read.
 *
 * P1. Never throws; a malformed payload leaves its row null in every column and gives an error.
 * P2. A field absent from the payload is null where the schema says `optional`, else its type's
 *     zero; a field that the event's type does not have is null.
 * P3. A double that is not finite is null: results are finite numbers.
 */
import type {
  FieldColumn,
  FieldSchema,
  ScalarType,
  TopicPlan,
} from "../../projections/definition/plan.ts";
import type { ColumnVector } from "../intake/event-batch.ts";
import {
  readVarint,
  skipField,
  varintHigh,
  varintLow,
  varintSigned,
  varintUnsigned,
  WIRE_BYTES,
  WIRE_FIXED32,
  WIRE_FIXED64,
  WIRE_VARINT,
} from "./wire.ts";

const WIRE_OF: Record<ScalarType, number> = {
  double: WIRE_FIXED64,
  float: WIRE_FIXED32,
  int32: WIRE_VARINT,
  int64: WIRE_VARINT,
  uint32: WIRE_VARINT,
  uint64: WIRE_VARINT,
  sint32: WIRE_VARINT,
  sint64: WIRE_VARINT,
  bool: WIRE_VARINT,
  enum: WIRE_VARINT,
  fixed32: WIRE_FIXED32,
  sfixed32: WIRE_FIXED32,
  fixed64: WIRE_FIXED64,
  sfixed64: WIRE_FIXED64,
  string: WIRE_BYTES,
  bytes: WIRE_BYTES,
  message: WIRE_BYTES,
};

const WIDE: ReadonlySet<ScalarType> = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const TWO_32 = 4_294_967_296;

/** A column that the scanner fills; see ColumnVector. */
export class PayloadColumn implements ColumnVector {
  valid = new Uint8Array(1024);
  values = new Float64Array(1024);
  residuals: Float64Array | undefined;
  starts = new Int32Array(1024);
  ends = new Int32Array(1024);
  readonly wide: boolean;

  constructor(column: FieldColumn) {
    this.wide = column.fields.some((field) => field !== undefined && WIDE.has(field.scalar));
    this.residuals = this.wide ? new Float64Array(1024) : undefined;
  }

  grow(rows: number): void {
    if (rows <= this.valid.length) return;
    const capacity = 2 ** Math.ceil(Math.log2(rows));
    this.valid = new Uint8Array(capacity);
    this.values = new Float64Array(capacity);
    if (this.wide) this.residuals = new Float64Array(capacity);
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
  }
}

interface KnownField {
  readonly schema: FieldSchema;
  readonly wire: number;
  readonly column: PayloadColumn | undefined;
}

interface TypeTable {
  /** By field number, for the small numbers that fields have in practice. */
  readonly small: readonly (KnownField | undefined)[];
  readonly large: ReadonlyMap<number, KnownField>;
  readonly defaults: readonly { readonly column: PayloadColumn; readonly valid: 0 | 1 }[];
}

const SMALL_FIELD_MAX = 256;

export class PayloadScanner {
  readonly columns: ReadonlyMap<string, PayloadColumn>;
  readonly #tables: readonly TypeTable[];

  constructor(topic: TopicPlan, columns: readonly FieldColumn[]) {
    this.columns = new Map(columns.map((column) => [column.path, new PayloadColumn(column)]));
    this.#tables = topic.types.map((type, typeIndex) => {
      const small: (KnownField | undefined)[] = new Array(SMALL_FIELD_MAX).fill(undefined);
      const large = new Map<number, KnownField>();
      for (const schema of type.fields) {
        const reader = columns.find((column) => column.fields[typeIndex]?.number === schema.number);
        const field: KnownField = {
          schema,
          wire: WIRE_OF[schema.scalar],
          column: reader && this.columns.get(reader.path),
        };
        if (schema.number < SMALL_FIELD_MAX) small[schema.number] = field;
        else large.set(schema.number, field);
      }
      const defaults = columns.map((column) => {
        const field = column.fields[typeIndex];
        const valid = field !== undefined && !field.optional ? (1 as const) : (0 as const);
        return { column: this.columns.get(column.path)!, valid };
      });
      return { small, large, defaults };
    });
  }

  prepare(rows: number): void {
    for (const column of this.columns.values()) column.grow(rows);
  }

  /** Nulls a row in every column: its event has no readable payload. */
  clear(row: number): void {
    for (const column of this.columns.values()) {
      column.valid[row] = 0;
      column.values[row] = 0;
    }
  }

  /** Reads bytes[start, end) as event type `typeIndex` into `row`; returns an error or undefined. */
  scan(
    bytes: Uint8Array,
    start: number,
    end: number,
    typeIndex: number,
    row: number,
  ): string | undefined {
    const { small, large, defaults } = this.#tables[typeIndex]!;
    for (let i = 0; i < defaults.length; i++) {
      const { column, valid } = defaults[i]!;
      column.valid[row] = valid;
      column.values[row] = 0;
      column.starts[row] = 0;
      column.ends[row] = 0;
      if (column.residuals !== undefined) column.residuals[row] = 0;
    }
    let at = start;
    while (at < end) {
      let tag = bytes[at]!;
      let value = at + 1;
      if (tag > 127) {
        value = readVarint(bytes, at, end);
        if (value < 0 || varintHigh !== 0) return this.#malformed(row, "malformed field tag");
        tag = varintLow;
      }
      const number = tag >>> 3;
      const wire = tag & 7;
      if (number === 0) return this.#malformed(row, "field number 0");
      const field = number < SMALL_FIELD_MAX ? small[number] : large.get(number);
      if (field !== undefined && field.wire !== wire) {
        if (!(field.schema.repeated && wire === WIRE_BYTES)) {
          return this.#malformed(row, `${field.schema.name}: wire type ${wire}, not ${field.wire}`);
        }
      }
      if (field?.column === undefined) {
        at = skipField(bytes, value, end, wire);
      } else if (wire === WIRE_VARINT) {
        at = this.#varint(field, bytes, value, end, row);
      } else if (wire === WIRE_BYTES) {
        const from = readVarint(bytes, value, end);
        at = from < 0 || varintHigh !== 0 || from + varintLow > end ? -1 : from + varintLow;
        if (at >= 0) {
          field.column.valid[row] = 1;
          field.column.starts[row] = from;
          field.column.ends[row] = at;
        }
      } else {
        at = skipField(bytes, value, end, wire);
        if (at >= 0) readFixed(field, bytes, value, row);
      }
      if (at < 0) {
        return this.#malformed(row, `${field?.schema.name ?? `field ${number}`}: malformed value`);
      }
    }
    return undefined;
  }

  #malformed(row: number, error: string): string {
    this.clear(row);
    return `data.${error}`;
  }

  #varint(field: KnownField, bytes: Uint8Array, start: number, end: number, row: number): number {
    const column = field.column!;
    const at = readVarint(bytes, start, end);
    if (at < 0) return -1;
    column.valid[row] = 1;
    switch (field.schema.scalar) {
      case "int32":
      case "enum":
        column.values[row] = varintLow | 0;
        break;
      case "uint32":
        column.values[row] = varintLow;
        break;
      case "sint32":
        column.values[row] = (varintLow >>> 1) ^ -(varintLow & 1);
        break;
      case "bool":
        column.values[row] = varintLow !== 0 || varintHigh !== 0 ? 1 : 0;
        break;
      case "uint64":
        setExact(column, row, varintHigh, varintLow, varintUnsigned());
        break;
      case "sint64": {
        const sign = -(varintLow & 1);
        const low = (((varintLow >>> 1) | (varintHigh << 31)) ^ sign) >>> 0;
        const high = (varintHigh >>> 1) ^ sign;
        setExact(column, row, high, low, high * TWO_32 + low);
        break;
      }
      default:
        setExact(column, row, varintHigh | 0, varintLow, varintSigned());
    }
    return at;
  }
}

/** value is the nearest double of high * 2^32 + low; the residual is what rounding took away. */
const setExact = (
  column: PayloadColumn,
  row: number,
  high: number,
  low: number,
  value: number,
): void => {
  column.values[row] = value;
  if (Math.abs(value) < 9_007_199_254_740_992) return;
  const exact = BigInt(high) * 4_294_967_296n + BigInt(low);
  column.residuals![row] = Number(exact - BigInt(value));
};

const scratch = new DataView(new ArrayBuffer(8));

const readFixed = (field: KnownField, bytes: Uint8Array, at: number, row: number): void => {
  const column = field.column!;
  const size = field.wire === WIRE_FIXED64 ? 8 : 4;
  for (let i = 0; i < size; i++) scratch.setUint8(i, bytes[at + i]!);
  column.valid[row] = 1;
  switch (field.schema.scalar) {
    case "double":
    case "float": {
      const value = size === 8 ? scratch.getFloat64(0, true) : scratch.getFloat32(0, true);
      if (Number.isFinite(value)) column.values[row] = value;
      else column.valid[row] = 0;
      break;
    }
    case "fixed32":
      column.values[row] = scratch.getUint32(0, true);
      break;
    case "sfixed32":
      column.values[row] = scratch.getInt32(0, true);
      break;
    case "fixed64": {
      const high = scratch.getUint32(4, true);
      const low = scratch.getUint32(0, true);
      setExact(column, row, high, low, high * TWO_32 + low);
      break;
    }
    default: {
      const high = scratch.getInt32(4, true);
      const low = scratch.getUint32(0, true);
      setExact(column, row, high, low, high * TWO_32 + low);
    }
  }
};
