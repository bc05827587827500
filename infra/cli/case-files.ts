/**
 * Finds the case files that a command line means: files by name, all of a folder and those below it, or
 * those that match a pattern.
 *
 * In a folder a case is what ends in .yaml, .yml or .case.json; hidden folders and node_modules hold none.
 */
import { readdirSync, statSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { CliError, EXIT_USAGE } from "./cli-error.ts";

const CASE_FILE = /\.(ya?ml|case\.json)$/i;
const PATTERN = /[*?{]/;

const isFolder = (path: string): boolean | undefined => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return undefined;
  }
};

const filesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
      const path = join(folder, entry.name);
      return isFolder(path) === true ? filesIn(path) : [path];
    });

/** `*` and `?` within a name, `**` across folders, `{a,b}` for one of some. */
const expressionOf = (pattern: string): RegExp => {
  const source = pattern.replace(/\*\*\/|\*\*|[*?{},.+^$()|[\]\\]/g, (token) => {
    switch (token) {
      case "**/":
        return "(?:.*/)?";
      case "**":
        return ".*";
      case "*":
        return "[^/]*";
      case "?":
        return "[^/]";
      case "{":
        return "(?:";
      case "}":
        return ")";
      case ",":
        return pattern.includes("{") ? "|" : ",";
      default:
        return `\\${token}`;
    }
  });
  return new RegExp(`^${source}$`);
};

const matching = (pattern: string, cwd: string): readonly string[] => {
  const parts = pattern.split("/");
  const fixed = parts.slice(
    0,
    parts.findIndex((part) => PATTERN.test(part)),
  );
  const base = resolve(cwd, fixed.join("/") || (pattern.startsWith("/") ? "/" : "."));
  const rest = parts.slice(fixed.length).join("/");
  if (isFolder(base) !== true) return [];
  const expression = expressionOf(rest);
  return filesIn(base).filter((path) => expression.test(relative(base, path).split(sep).join("/")));
};

/** Absolute paths, each once. Throws a {@link CliError} for a name that means nothing. */
export const findCaseFiles = (names: readonly string[], cwd: string): readonly string[] => {
  const found = names.flatMap((name) => {
    const path = resolve(cwd, name);
    const folder = isFolder(path);
    if (folder === false) return [path];
    const files =
      folder === true
        ? filesIn(path).filter((file) => CASE_FILE.test(file))
        : PATTERN.test(name)
          ? matching(name, cwd)
          : [];
    if (files.length > 0) return files;
    const what =
      folder === true ? "holds no case" : PATTERN.test(name) ? "matches no file" : "does not exist";
    throw new CliError(`${name} ${what}`, {
      hint: "Name a case file, a folder with .yaml, .yml or .case.json files in it, or a pattern. See docs/TESTKIT.md.",
      exitCode: EXIT_USAGE,
    });
  });
  return [...new Set(found)];
};
