/** Sizes in bytes as people write them: a number, "512 B", "256 KiB", "4 MiB", "10 GiB". */

export const BYTE_UNITS = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
} as const;

export type ByteSize = number | `${number} ${keyof typeof BYTE_UNITS}`;

export const BYTE_SIZE_FORMS = 'a number of bytes, or text such as "256 KiB", "4 MiB", "10 GiB"';

/** Bytes, or undefined when `value` is not a size. */
export const parseByteSize = (value: unknown): number | undefined => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)?\s*$/i.exec(value);
  if (match === null) return undefined;
  const name = (match[2] ?? "B").toLowerCase();
  const unit = Object.entries(BYTE_UNITS).find(([known]) => known.toLowerCase() === name)![1];
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
};
