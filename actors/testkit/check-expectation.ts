/** Checks what a case expects: names of aggregates, kinds and accounts are known, times are times. */
import { listed, suggestion } from "../../projections/definition/did-you-mean.ts";
import { at, shown } from "../../projections/definition/reading.ts";
import type { Fields, Mistakes } from "../../projections/definition/reading.ts";
import type { CasePlan } from "./case-plan.ts";
import { ACCOUNTS } from "./output.ts";
import type { CaseValue, CheckedExpectation, ExpectedRow } from "./case.ts";
import { readTime } from "./time.ts";

const KINDS = ["early", "final", "correction", "retraction"] as const;
const REASONS = ["late", "future", "invalid", "poison"] as const;
const UPDATE_KEYS = [
  "key",
  "window",
  "kind",
  "revision",
  "ordinal",
  "watermark",
  "partition",
  "values",
];
const LETTER_KEYS = [
  "reason",
  "id",
  "type",
  "key",
  "time",
  "window",
  "watermark",
  "lateness",
  "topic",
  "partition",
  "error",
];
const PARTS = ["updates", "deadLetters", "results", "books", "watermark"] as const;
const NOTHING: CheckedExpectation = {
  updates: [],
  deadLetters: [],
  results: undefined,
  books: undefined,
  watermark: undefined,
};
const SCALARS = new Set(["number", "bigint", "string", "boolean"]);
const COUNT = { min: 0, max: Number.MAX_SAFE_INTEGER };

export const checkExpectation = (
  value: unknown,
  path: string,
  planned: CasePlan,
  mistakes: Mistakes,
): CheckedExpectation | undefined => {
  if (value === "nothing") return NOTHING;
  const reader = new ExpectationReader(planned, mistakes);
  if (Array.isArray(value)) {
    return { ...NOTHING, deadLetters: undefined, updates: reader.list(value, path, "update") };
  }
  if (typeof value !== "object" || value === null) {
    return mistakes.add(
      path,
      `must be nothing, a list of updates, or an object with some of ${listed(PARTS)}; not ${shown(value)}`,
    );
  }
  const given = mistakes.object(value, path, PARTS);
  if (given === undefined) return undefined;
  if (PARTS.every((part) => given[part] === undefined)) {
    return mistakes.add(path, `expects nothing; give it some of ${listed(PARTS)}`);
  }
  const list = (part: "updates" | "deadLetters" | "results") => {
    if (given[part] === undefined) return undefined;
    const items = mistakes.items(given[part] === "nothing" ? [] : given[part], at(path, part));
    return (
      items && reader.list(items, at(path, part), part === "deadLetters" ? "letter" : "update")
    );
  };
  return {
    updates: list("updates"),
    deadLetters: list("deadLetters"),
    results: list("results"),
    books:
      given["books"] === undefined ? undefined : reader.books(given["books"], at(path, "books")),
    watermark:
      given["watermark"] === undefined ? undefined : reader.watermark(given["watermark"], path),
  };
};

class ExpectationReader {
  readonly #planned: CasePlan;
  readonly #mistakes: Mistakes;

  constructor(planned: CasePlan, mistakes: Mistakes) {
    this.#planned = planned;
    this.#mistakes = mistakes;
  }

  list(items: readonly unknown[], path: string, what: "update" | "letter"): ExpectedRow[] {
    return items.flatMap((item, index) => {
      const where = at(path, index);
      const given = this.#mistakes.record(item, where);
      if (given === undefined) return [];
      const fields = new Map<string, CaseValue>();
      this.#common(given, where, fields);
      if (what === "update") this.#update(given, where, fields);
      else this.#letter(given, where, fields);
      return { path: where, fields };
    });
  }

  books(value: unknown, path: string): ExpectedRow | undefined {
    const given = this.#mistakes.object(value, path, ACCOUNTS);
    if (given === undefined) return undefined;
    const fields = new Map<string, CaseValue>();
    for (const [name, count] of Object.entries(given)) {
      const checked = this.#mistakes.whole(count, at(path, name), COUNT);
      if (checked !== undefined) fields.set(name, checked);
    }
    return { path, fields };
  }

  watermark(value: unknown, parent: string): ExpectedRow | undefined {
    const path = at(parent, "watermark");
    const time = value === null ? null : readTime(value, path, this.#mistakes);
    return time === undefined ? undefined : { path, fields: new Map([["watermark", time]]) };
  }

  /** What updates and dead letters both have. */
  #common(given: Fields, path: string, fields: Map<string, CaseValue>): void {
    const mistakes = this.#mistakes;
    const { key, window } = given;
    if (key !== undefined) {
      const text =
        typeof key === "string" ? key : typeof key === "number" ? String(key) : undefined;
      fields.set("key", text ?? mistakes.text(key, at(path, "key")) ?? "");
    }
    if (window !== undefined) {
      const bounds: readonly unknown[] = Array.isArray(window) ? window : [window];
      if (bounds.length > 2 || bounds.length === 0) {
        mistakes.add(at(path, "window"), "must be its start, or [start, end]");
      }
      ["start", "end"].forEach((name, index) => {
        if (index >= bounds.length) return;
        const time = readTime(bounds[index], at(path, "window"), mistakes);
        if (time !== undefined) fields.set(name, time);
      });
    }
    if (given["watermark"] !== undefined) {
      const time = readTime(given["watermark"], at(path, "watermark"), mistakes);
      if (time !== undefined) fields.set("watermark", time);
    }
    if (given["partition"] !== undefined) {
      const partition = mistakes.whole(given["partition"], at(path, "partition"), COUNT);
      if (partition !== undefined) fields.set("partition", partition);
    }
  }

  #update(given: Fields, path: string, fields: Map<string, CaseValue>): void {
    const mistakes = this.#mistakes;
    if (given["kind"] !== undefined) {
      fields.set("kind", mistakes.oneOf(given["kind"], at(path, "kind"), KINDS) ?? "");
    }
    if (given["revision"] !== undefined) {
      fields.set("revision", mistakes.whole(given["revision"], at(path, "revision"), COUNT) ?? 0);
    }
    if (given["ordinal"] !== undefined) {
      fields.set("ordinal", mistakes.whole(given["ordinal"], at(path, "ordinal"), COUNT) ?? 0);
    }
    const inline = Object.entries(given).filter(([name]) => !UPDATE_KEYS.includes(name));
    this.#values(Object.fromEntries(inline), path, fields);
    if (given["values"] !== undefined) {
      const values = mistakes.record(given["values"], at(path, "values"));
      if (values !== undefined) this.#values(values, at(path, "values"), fields);
    }
  }

  #values(given: Fields, path: string, fields: Map<string, CaseValue>): void {
    const names = this.#planned.plan.outputs.map(({ name }) => name);
    for (const [name, value] of Object.entries(given)) {
      if (!names.includes(name)) {
        const known = [...names, ...UPDATE_KEYS];
        const hint = suggestion(name, known, "names");
        this.#mistakes.add(at(path, name), `is neither a value nor a part of an update${hint}`);
      } else {
        const checked = this.#value(value, at(path, name));
        if (checked !== undefined) fields.set(`values.${name}`, checked);
      }
    }
  }

  #value(value: unknown, path: string): CaseValue | undefined {
    if (value === null || SCALARS.has(typeof value)) return value as CaseValue;
    if (Array.isArray(value)) {
      const items = value.map((item, index) => this.#value(item, at(path, index)));
      return items.some((item) => item === undefined) ? undefined : (items as CaseValue[]);
    }
    if (typeof value !== "object") {
      const wanted = "must be a number, text, true, false, null, a list or a record";
      return this.#mistakes.add(path, `${wanted}, not ${shown(value)}`);
    }
    const fields = Object.entries(value).map(
      ([name, field]) => [name, this.#value(field, at(path, name))] as const,
    );
    if (fields.some(([, field]) => field === undefined)) return undefined;
    return Object.fromEntries(fields) as Record<string, CaseValue>;
  }

  #letter(given: Fields, path: string, fields: Map<string, CaseValue>): void {
    const mistakes = this.#mistakes;
    mistakes.object(given, path, LETTER_KEYS);
    if (given["reason"] !== undefined) {
      fields.set("reason", mistakes.oneOf(given["reason"], at(path, "reason"), REASONS) ?? "");
    }
    for (const name of ["id", "type", "error"]) {
      if (given[name] !== undefined) {
        fields.set(name, mistakes.text(given[name], at(path, name)) ?? "");
      }
    }
    if (given["topic"] !== undefined) {
      const names = this.#planned.topics.map(({ definition }) => definition.name);
      fields.set("topic", mistakes.oneOf(given["topic"], at(path, "topic"), names) ?? "");
    }
    if (given["time"] !== undefined) {
      const time = readTime(given["time"], at(path, "time"), mistakes);
      if (time !== undefined) fields.set("time", time);
    }
    if (given["lateness"] !== undefined) {
      fields.set("lateness", mistakes.whole(given["lateness"], at(path, "lateness"), COUNT) ?? 0);
    }
  }
}
