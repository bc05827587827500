/**
 * Names a Node entry point so that it runs both from source and compiled: as .ts through tsx beside
 * a .ts caller, as .js beside a .js caller.
 */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface NodeEntry {
  readonly path: string;
  /** Arguments for Node itself, before the path. */
  readonly execArgv: readonly string[];
}

/** Lets a process import TypeScript, wherever its working folder is. */
export const typescriptLoader = (): readonly string[] => {
  const loader = createRequire(import.meta.url).resolve("tsx");
  return ["--import", pathToFileURL(loader).href];
};

/** `nodeEntry(import.meta.url, "../processes/worker.ts")`: relative to the calling module. */
export function nodeEntry(callerUrl: string, relative: `${string}.ts`): NodeEntry {
  const compiled = extname(fileURLToPath(callerUrl)) === ".js";
  const target = compiled ? relative.replace(/\.ts$/, ".js") : relative;
  return {
    path: fileURLToPath(new URL(target, callerUrl)),
    execArgv: compiled ? [] : typescriptLoader(),
  };
}
