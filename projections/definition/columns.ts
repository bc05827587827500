/** Columns of several readers of a topic, put together for one decoder. */
import type { FieldColumn } from "./plan.ts";

/**
 * Each path once, with the field of every event type that some reader has it of: readers of different
 * types may mention one path, and mean different fields by it.
 */
export const unionOfColumns = (
  readers: readonly (readonly FieldColumn[])[],
): readonly FieldColumn[] => {
  const columns = new Map<string, FieldColumn>();
  for (const column of readers.flat()) {
    const known = columns.get(column.path);
    const fields = known && known.fields.map((field, type) => field ?? column.fields[type]);
    columns.set(column.path, fields === undefined ? column : { ...column, fields });
  }
  return [...columns.values()];
};
