/** The bytes of a key: strings as they are, integers and booleans as their text. */
import type { Vector } from "../expression/vector.ts";

/** A range of bytes; one object, used again by every call. */
const range = { bytes: new Uint8Array(32), start: 0, end: 0 };
const text = new Uint8Array(32);

export const keyBytes = (
  vector: Vector,
  row: number,
): { readonly bytes: Uint8Array; readonly start: number; readonly end: number } => {
  if (vector.type === "string") {
    range.bytes = vector.bytes as Uint8Array<ArrayBuffer>;
    range.start = vector.starts[row]!;
    range.end = vector.ends[row]!;
    return range;
  }
  const value = vector.values[row]!;
  const residual = vector.residuals?.[row] ?? 0;
  const written =
    vector.type === "boolean"
      ? value === 1
        ? "true"
        : "false"
      : residual === 0 && Number.isSafeInteger(value)
        ? String(value)
        : String(BigInt(value) + BigInt(residual));
  for (let i = 0; i < written.length; i++) text[i] = written.charCodeAt(i);
  range.bytes = text;
  range.start = 0;
  range.end = written.length;
  return range;
};
