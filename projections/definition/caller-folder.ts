/** Where a definition was written: relative paths in it are taken from there. */
import { dirname, isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the file that called `callee`; undefined when the runtime does not say. */
export const callerFolder = (callee: (...args: never) => unknown): string | undefined => {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 1;
    Error.prepareStackTrace = (_, sites) => sites[0]?.getFileName();
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, callee);
    if (typeof holder.stack !== "string") return undefined;
    // Loaders that run TypeScript add a query to what they load.
    const file = holder.stack.replace(/[?#](?:tsx-)?namespace=.*$/, "");
    if (file.startsWith("file:")) return dirname(fileURLToPath(file));
    return isAbsolute(file) ? dirname(file) : undefined;
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
};
