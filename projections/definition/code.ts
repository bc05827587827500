/**
 * Functions in definitions: what the engine can know of them.
 *
 * K1. A definition is data, and functions where an option asks for one. A digest covers a function by
 *     its source text; what it closes over (variables, imports) it cannot see: the option `version`
 *     is there to say that something of that kind has changed.
 * K2. Functions do not cross process borders. A projection that holds one is found again in each
 *     process by its file and its place among the file's exports: `infra/config/code-modules.ts`.
 */
import type { Mistakes } from "./reading.ts";

/** Whether there is a function anywhere in it. */
export const holdsCode = (value: unknown, seen = new Set<unknown>()): boolean => {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  seen.add(value);
  return Object.values(value).some((inner) => holdsCode(inner, seen));
};

/** The text of bound and built-in functions is not theirs, so nobody could see them change. */
const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;

type AnyFunction = (...args: never[]) => unknown;

export const checkFunction = (
  value: unknown,
  path: string,
  example: string,
  mistakes: Mistakes,
): AnyFunction | undefined => {
  if (typeof value !== "function") {
    const json = value === undefined ? "; JSON cannot hold it, TypeScript can" : "";
    return mistakes.wrong(path, `a function, such as ${example}`, value, json);
  }
  if (NATIVE.test(Function.prototype.toString.call(value))) {
    return mistakes.add(
      path,
      `is a bound or built-in function, whose text does not show what it does; write ${example}`,
    );
  }
  return value as AnyFunction;
};

const VERSION_LENGTH_MAX = 100;

/** The option that stands in a digest for all that a function's text does not show. */
export const checkVersion = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
): string | undefined => {
  const version = mistakes.text(value ?? "", path);
  if (version === undefined || version.length <= VERSION_LENGTH_MAX) return version;
  return mistakes.add(
    path,
    `has ${version.length} characters; ${VERSION_LENGTH_MAX} are the limit`,
  );
};
