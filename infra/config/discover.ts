/** Where a project's files are when nobody says: by their names in its folder. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const EXTENSIONS = ["ts", "mts", "cts", "js", "mjs", "cjs"] as const;
const CODE = EXTENSIONS.join("|");

const CONFIG_NAMES = [...EXTENSIONS, "json"].map((extension) => `tidemark.config.${extension}`);
const PROJECTION_FILE = new RegExp(`^(.+\\.)?projection\\.(${CODE}|json)$`);
const PROJECTION_DATA = /^(.+\.)?projection\.json$/;
const CODE_FILE = new RegExp(`^(?!.*\\.(test|spec|suite|d)\\.).+\\.(${CODE})$`);

/** tidemark.config.ts in the folder, or with another ending. */
export const findConfigFile = (folder: string): string | undefined =>
  CONFIG_NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));

/** Whether a file's name says that it is a definition, or a list of them, as JSON. */
export const isProjectionData = (path: string): boolean => PROJECTION_DATA.test(basename(path));

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return [];
  }
};

export interface ProjectionFile {
  readonly path: string;
  /** Its name promises a projection, so one without is a mistake. */
  readonly promised: boolean;
}

/** Whether the folder is Tidemark's own source: its `projections/` holds the language. */
const isOwnSource = (folder: string): boolean => {
  try {
    const text = readFileSync(join(folder, "package.json"), "utf8");
    return (JSON.parse(text) as { readonly name?: unknown }).name === "tidemark";
  } catch {
    return false;
  }
};

/** `projection.ts` and `*.projection.ts` in the folder, and all code in its `projections/`. */
export const findProjectionFiles = (folder: string): readonly ProjectionFile[] => {
  const inFolder = (where: string, alsoOthers: boolean): readonly ProjectionFile[] =>
    namesIn(where).flatMap((name) => {
      const promised = PROJECTION_FILE.test(name);
      if (!promised && !(alsoOthers && CODE_FILE.test(name))) return [];
      return { path: join(where, name), promised };
    });
  const collected = isOwnSource(folder) ? [] : inFolder(join(folder, "projections"), true);
  return [...inFolder(folder, false), ...collected];
};
