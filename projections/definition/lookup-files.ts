/** Where the files of lookup tables are: beside the file that a definition came from. */
import { resolve } from "node:path";

/** The same definition with absolute paths; what needs no change is the same object. */
export const resolveLookupFiles = <Value>(value: Value, folder: string): Value => {
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => resolveLookupFiles(item, folder));
    return items.some((item, index) => item !== value[index]) ? (items as Value) : value;
  }
  // Anything but plain data, such as a machine or a function of the user's, stays what it is.
  if (typeof value !== "object" || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const changed: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const file = (inner as { readonly file?: unknown } | null | undefined)?.file;
    const resolved =
      key === "lookup" && typeof file === "string"
        ? { ...(inner as object), file: resolve(folder, file) }
        : resolveLookupFiles(inner as unknown, folder);
    if (resolved !== inner) changed[key] = resolved;
  }
  return Object.keys(changed).length === 0 ? value : { ...value, ...changed };
};
