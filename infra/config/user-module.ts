/**
 * Imports a file of the user's project: TypeScript or JavaScript, ES module or CommonJS, or JSON.
 *
 * M1. In it and in all that it imports, `tidemark` is the package that is running, whether it is
 *     installed there, elsewhere (`npx`), or is this repository without a build. So a definition is
 *     always made and read by the same code.
 */
import { readFile } from "node:fs/promises";
import Module, { register } from "node:module";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { tsImport } from "tsx/esm/api";

const PACKAGE = "tidemark";

/** The package's entry, as source or as built, as this file itself is. */
const entryUrl = new URL(
  `../../projections/index${extname(fileURLToPath(import.meta.url))}`,
  import.meta.url,
).href;

interface CommonJsLoader {
  _resolveFilename(this: unknown, request: string, ...rest: readonly unknown[]): string;
}

let resolvesPackage = false;

/**
 * For ES modules by a hook, for CommonJS by the function that Node's `require` resolves with. The hook
 * also makes every .ts file an ES module, which is what it is written as, whatever the package.json
 * beside it says: `npm init` writes one that says CommonJS.
 */
const resolvePackage = (): void => {
  if (resolvesPackage) return;
  resolvesPackage = true;
  const hook = `
    export const resolve = async (specifier, context, next) => {
      if (specifier === ${JSON.stringify(PACKAGE)})
        return { url: ${JSON.stringify(entryUrl)}, format: "module", shortCircuit: true };
      const resolved = await next(specifier, context);
      const own = /^file:.*[.]ts([?]|$)/.test(resolved.url) && !resolved.url.includes("/node_modules/");
      return own ? { ...resolved, format: "module" } : resolved;
    };`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
  const loader = Module as unknown as CommonJsLoader;
  const next = loader._resolveFilename;
  const entry = fileURLToPath(entryUrl);
  loader._resolveFilename = function (request, ...rest) {
    return request === PACKAGE ? entry : next.call(this, request, ...rest);
  };
};

/** Imports with lines of errors told as they were written. */
const importTypeScript = async (path: string): Promise<unknown> => {
  const before = process.sourceMapsEnabled;
  process.setSourceMapsEnabled(true);
  try {
    return await tsImport(pathToFileURL(path).href, import.meta.url);
  } catch (error) {
    // A stack is written when it is first read.
    if (error instanceof Error) void error.stack;
    throw error;
  } finally {
    process.setSourceMapsEnabled(before);
  }
};

/** The file's exports by name; JSON is its default export. */
export const importUserModule = async (
  path: string,
): Promise<Readonly<Record<string, unknown>>> => {
  if (extname(path) === ".json") {
    return { default: JSON.parse(await readFile(path, "utf8")) as unknown };
  }
  resolvePackage();
  const module = (await importTypeScript(path)) as Readonly<Record<string, unknown>>;
  // A CommonJS module is the default export of what importing it gives.
  const inner = module["default"] as Readonly<Record<string, unknown>> | undefined;
  const compiled = typeof inner === "object" && inner !== null && "__esModule" in inner;
  return { ...module, ...(compiled ? inner : {}) };
};
