/** Writes lists and records of values: the aggregates that publish more than one number. */
import { ByteWriter } from "../kernel/byte-writer.ts";

export const LIST_VALUE = 0x2a;
export const RECORD_VALUE = 0x32;
/** Of ListValue `values` and of RecordValue `fields`. */
export const ITEM = 0x0a;
export const NAME = 0x0a;
export const VALUE = 0x12;

type Write = (value: ByteWriter) => void;

/** A buffer a depth, used again: what is nested is written first, its length before it then. */
const buffers: ByteWriter[] = [];
let depth = 0;

const nested = (out: ByteWriter, tag: number, write: Write): void => {
  const inner = (buffers[depth] ??= new ByteWriter(256));
  depth++;
  try {
    inner.reset();
    write(inner);
  } finally {
    depth--;
  }
  out.bytesField(tag, inner.bytes, 0, inner.length);
};

/** `writeItem` appends the fields of the Value of item i. */
export const writeListValue = (
  out: ByteWriter,
  count: number,
  writeItem: (value: ByteWriter, i: number) => void,
): void =>
  nested(out, LIST_VALUE, (list) => {
    for (let i = 0; i < count; i++) nested(list, ITEM, (value) => writeItem(value, i));
  });

export const writeRecordValue = (
  out: ByteWriter,
  fields: readonly (readonly [name: string, write: Write])[],
): void =>
  nested(out, RECORD_VALUE, (record) => {
    for (const [name, write] of fields) {
      nested(record, ITEM, (field) => {
        field.stringField(NAME, name);
        nested(field, VALUE, write);
      });
    }
  });
