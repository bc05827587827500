/**
 * Reads data of unknown shape (JSON definitions, configuration) and notes every mistake with its
 * path instead of stopping at the first. A reader returns undefined for what it refused.
 */
import type { Mistake } from "../errors.ts";
import { BYTE_SIZE_FORMS, parseByteSize } from "./byte-size.ts";
import { listed, nearest, suggestion } from "./did-you-mean.ts";
import { DURATION_FORMS, formatDuration, parseDuration } from "./duration.ts";

/** "a.b", "a[0]", 'a["odd key"]'. */
export const at = (path: string, key: string | number): string => {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
};

/** A value as an error shows it. */
export const shown = (value: unknown): string => {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "function") return "a function";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
};

export type Fields = Readonly<Record<string, unknown>>;

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The longest duration of anything: what event times span. */
const DURATION_MS_MAX = 8.64e15;
export const NOT_NEGATIVE: Range = { min: 0, max: DURATION_MS_MAX };
export const POSITIVE: Range = { min: 1, max: DURATION_MS_MAX };
export const ANY_SIGN: Range = { min: -DURATION_MS_MAX, max: DURATION_MS_MAX };
export const BUCKETS: Range = { min: 1, max: 65_536 };

export class Mistakes {
  readonly #list: Mistake[] = [];

  get list(): readonly Mistake[] {
    return this.#list;
  }

  add(path: string, message: string): undefined {
    this.#list.push({ path, message });
    return undefined;
  }

  /** Notes that a value is not what is wanted, or that there is none. */
  wrong(path: string, wanted: string, value: unknown, hint = ""): undefined {
    if (value === undefined && path !== "") {
      return this.add(path, `is missing: it must be ${wanted}${hint}`);
    }
    return this.add(path, `must be ${wanted}, not ${shown(value)}${hint}`);
  }

  /**
   * An object with no other keys than `known`. Unknown ones are noted; the rest is still read. A whole
   * document may say, for editors, which schema it follows.
   */
  object(
    value: unknown,
    path: string,
    known: readonly string[],
    wanted?: string,
  ): Fields | undefined {
    const fields = this.record(value, path, wanted);
    if (fields === undefined) return undefined;
    for (const key of Object.keys(fields)) {
      if (known.includes(key) || fields[key] === undefined) continue;
      if (path === "" && key === "$schema") {
        this.text(fields[key], key);
        continue;
      }
      const best = nearest(key, known);
      const hint = best === undefined ? "" : ` Did you mean ${JSON.stringify(best)}?`;
      this.add(at(path, key), `unknown key.${hint} The keys here are ${listed(known)}`);
    }
    return fields;
  }

  /** An object with keys of any name; `wanted` says what it is to be. */
  record(value: unknown, path: string, wanted = "an object"): Fields | undefined {
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Fields;
    return this.wrong(path, wanted, value);
  }

  items(value: unknown, path: string): readonly unknown[] | undefined {
    if (Array.isArray(value)) return value;
    const hint = typeof value === "string" ? `; write [${shown(value)}]` : "";
    return this.wrong(path, "a list", value, hint);
  }

  text(value: unknown, path: string): string | undefined {
    if (typeof value === "string") return value;
    return this.wrong(path, "text", value);
  }

  boolean(value: unknown, path: string): boolean | undefined {
    if (typeof value === "boolean") return value;
    return this.wrong(path, "true or false", value);
  }

  /** `others`: names that other languages have for the options. */
  oneOf<const T extends string>(
    value: unknown,
    path: string,
    options: readonly T[],
    others: Readonly<Record<string, string>> = {},
  ): T | undefined {
    if (typeof value === "string" && (options as readonly string[]).includes(value))
      return value as T;
    const name = typeof value === "string" ? value : "";
    const other = name.toLowerCase();
    const best =
      nearest(name, options) ?? (Object.hasOwn(others, other) ? others[other] : undefined);
    const hint = best === undefined ? "" : `; did you mean ${JSON.stringify(best)}?`;
    return this.wrong(path, `one of ${listed(options)}`, value, hint);
  }

  whole(value: unknown, path: string, { min, max }: Range): number | undefined {
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max)
      return value;
    const range = max >= Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
    return this.wrong(path, `a whole number, ${range}`, value);
  }

  bytes(value: unknown, path: string, { min, max }: Range): number | undefined {
    const bytes = parseByteSize(value);
    if (bytes === undefined) return this.wrong(path, `a size: ${BYTE_SIZE_FORMS}`, value);
    if (bytes >= min && bytes <= max) return bytes;
    const range = max >= Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
    return this.add(path, `must be ${range} bytes, not ${bytes}`);
  }

  duration(value: unknown, path: string, range: Range): number | undefined {
    const ms = parseDuration(value);
    if (ms === undefined) return this.wrong(path, `a duration: ${DURATION_FORMS}`, value);
    if (ms < range.min) {
      return this.add(path, `must be at least ${formatDuration(range.min)}, not ${shown(value)}`);
    }
    if (ms > range.max) {
      return this.add(path, `must be at most ${formatDuration(range.max)}, not ${shown(value)}`);
    }
    return ms;
  }

  /** Notes that `name` is none of `candidates`, with the nearest. */
  unknownName(
    path: string,
    message: string,
    name: string,
    candidates: Iterable<string>,
    what: string,
  ) {
    return this.add(path, message + suggestion(name, candidates, what));
  }
}
