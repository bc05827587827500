import { describe, expect, it } from "vitest";
import { DefinitionError } from "../errors.ts";
import { event, field } from "./field-expression.ts";
import type { PatternProjection } from "./definition.ts";
import { begin, match, skipToFirst, step } from "./pattern-builder.ts";
import { pattern } from "./pattern.ts";
import { planProjection, planTopic, type EventTypes } from "./plan-projection.ts";
import type { EventTypeSchema, FieldSchema, PatternPlan } from "./plan.ts";
import { topic } from "./topic.ts";

const fieldOf = (
  number: number,
  name: string,
  scalar: FieldSchema["scalar"],
  more: Partial<FieldSchema> = {},
): FieldSchema => ({ number, name, scalar, repeated: false, optional: false, ...more });
const LOGIN: EventTypeSchema = {
  name: "Login",
  fields: [
    fieldOf(1, "ok", "bool"),
    fieldOf(2, "address", "string"),
    fieldOf(3, "price", "double"),
    fieldOf(4, "tries", "int64"),
    fieldOf(5, "channel", "enum", { values: { WEB: 1, APP: 2 } }),
  ],
};
const schemas: EventTypes = {
  typeNames: ["Login"],
  eventType: (name) => (name === "Login" ? LOGIN : undefined),
};
const logins = topic("logins", { schemas: ["logins.proto"], types: ["Login"] });
const plan = (definition: unknown): PatternPlan =>
  planProjection(definition as PatternProjection, planTopic(logins, schemas)) as PatternPlan;
const failed = field("ok").not();

const mistakesOf = (act: () => unknown): readonly string[] => {
  try {
    act();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};
/** Mistakes of a pattern that came as JSON, when it is planned. */
const planning = (elements: unknown, more: object = {}): readonly string[] =>
  mistakesOf(() =>
    plan({ kind: "pattern", name: "p", topic: "logins", pattern: elements, ...more }),
  );

describe("pattern()", () => {
  it("is re-keyed where it is grouped by something other than the event's key", () => {
    const grouped = (key: object) =>
      plan({ kind: "pattern", name: "p", topic: "logins", pattern: [{ step: "a" }], key });
    expect(grouped({ field: "address" })).toMatchObject({ rekeyed: true, merged: false });
    expect(grouped({ event: "key" })).toMatchObject({ rekeyed: false, merged: false });
  });

  it("gives the data that its JSON form is", () => {
    const written = pattern("suspicious", {
      source: logins,
      pattern: begin("first", failed)
        .times(2)
        .consecutive()
        .notNext("logout", field("channel").eq("WEB"))
        .followedBy(begin("g").followedByAny("h", field("price").gt(step("first").field("price"))))
        .oneOrMore()
        .optional()
        .next("last", field("ok"))
        .timesOrMore(2)
        .until(event.key.eq("x"))
        .within("5 minutes"),
      skip: skipToFirst("last"),
      values: { n: step("first").count(), ids: match.ids },
    });
    const json = JSON.parse(JSON.stringify(written)) as unknown;
    expect(json).toEqual({
      kind: "pattern",
      name: "suspicious",
      description: "",
      topic: "logins",
      types: [],
      key: { event: "key" },
      subjects: { by: "key" },
      pattern: [
        {
          step: "first",
          where: { op: "not", args: [{ field: "ok" }] },
          times: { min: 2, max: 2 },
          optional: false,
          between: "next",
          greedy: false,
        },
        {
          not: "logout",
          where: { op: "eq", args: [{ field: "channel" }, { literal: "WEB" }] },
          contiguity: "next",
        },
        {
          group: [
            {
              step: "g",
              times: { min: 1, max: 1 },
              optional: false,
              between: "followedBy",
              greedy: false,
            },
            {
              step: "h",
              where: {
                op: "gt",
                args: [{ field: "price" }, { step: "first", fn: "last", of: { field: "price" } }],
              },
              contiguity: "followedByAny",
              times: { min: 1, max: 1 },
              optional: false,
              between: "followedBy",
              greedy: false,
            },
          ],
          contiguity: "followedBy",
          times: { min: 1 },
          optional: true,
          between: "followedBy",
        },
        {
          step: "last",
          where: { field: "ok" },
          contiguity: "next",
          times: { min: 2 },
          optional: false,
          between: "followedBy",
          greedy: false,
          until: { op: "eq", args: [{ event: "key" }, { literal: "x" }] },
        },
      ],
      withinMs: 300_000,
      skip: { strategy: "skipToFirst", step: "last" },
      values: { n: { step: "first", fn: "count" }, ids: { match: "ids" } },
      onTimeout: "discard",
    });
    expect(plan(json).digest).toEqual(plan(written).digest);
    expect(plan(json).definition).toEqual(written);
  });

  it("has start, end and ids as values, and with timed-out matches which they are", () => {
    const short = { kind: "pattern", name: "p", topic: "logins", pattern: [{ step: "a" }] };
    expect(plan(short).outputs).toEqual([
      { name: "start", type: "integer" },
      { name: "end", type: "integer" },
      { name: "ids", type: "any" },
    ]);
    const emitting = { ...short, withinMs: "1 minute", onTimeout: "emit" };
    expect(plan(emitting).outputs.at(-1)).toEqual({ name: "timedOut", type: "boolean" });
  });

  it("types values by what they are of", () => {
    const { outputs } = plan(
      pattern("typed", {
        source: logins,
        pattern: begin("a").followedBy("b"),
        values: {
          text: step("a").field("address"),
          whole: step("a").sum(field("tries")),
          mean: step("b").mean(field("tries")),
          list: step("a").collect(field("price")),
          later: match.end.subtract(match.start).gt(1_000),
        },
      }),
    );
    expect(outputs.map(({ type }) => type)).toEqual([
      "string",
      "integer",
      "double",
      "any",
      "boolean",
    ]);
  });

  it("replaces names of enum values, and has another digest when anything of it changes", () => {
    const whereWeb = {
      op: "eq",
      args: [{ step: "a", of: { field: "channel" } }, { literal: 1 }],
    };
    const elements = [{ step: "a" }, { step: "b", where: whereWeb }];
    const digest = (change: object): string =>
      Buffer.from(
        plan({ kind: "pattern", name: "p", topic: "logins", pattern: elements, ...change }).digest,
      ).toString("hex");
    const changes = [
      {},
      { withinMs: 5 },
      { skip: { strategy: "skipToNext" } },
      { pattern: [{ step: "a" }, { step: "b" }] },
      { pattern: [{ step: "a" }, { step: "b", contiguity: "next" }] },
      { values: { ids: { match: "ids" } } },
      { withinMs: 5, onTimeout: "emit", values: { ids: { match: "ids" } } },
    ];
    expect(new Set(changes.map(digest)).size).toBe(changes.length);
  });
});

describe("a pattern with mistakes", () => {
  it("is told each with its place and what would be right", () => {
    expect(
      planning([
        { step: "a", where: { field: "adress" }, contiguity: "next" },
        { step: "a", contiguity: "followBy", times: { min: 3, max: 2 } },
        { stop: "b" },
        { step: "c", where: { field: "price" }, until: { field: "ok" } },
        { step: "d e", where: { step: "later", of: { field: "price" } } },
      ]),
    ).toEqual([
      'pattern[0].where.field: event type Login has no field "adress"; did you mean "address"?',
      "pattern[0].contiguity: the first element follows nothing; leave it out",
      'pattern[1].step: "a" is the name of two elements; each needs its own',
      "pattern[1].times: at least 3 and at most 2 times is never",
      'pattern[1].contiguity: must be one of "next", "followedBy", "followedByAny", not "followBy"; did you mean "followedBy"?',
      'pattern[2]: needs one of "step", "group" and "not"',
      "pattern[3].until: ends repetitions, and the step has none; add times or oneOrMore()",
      "pattern[3].where: must be a boolean, but price is a double",
      expect.stringMatching(/^pattern\[4\]\.step: the name must be a letter or _/),
      'pattern[4].where.step: no step "later" comes before this; the steps are "a", "a", "c", "d e"',
    ]);
  });

  it.each([
    [[], "pattern: is empty; a pattern begins with a step"],
    [[{ not: "n" }], "pattern[0]: a pattern or group begins with a step that takes an event"],
    [[{ step: "a", optional: true }], "pattern: every step is optional"],
    [[{ step: "a" }, { not: "n" }], "pattern[1]: a match that ends with what must not come needs"],
    [
      [{ step: "a" }, { not: "n" }, { step: "b", optional: true }],
      "pattern[1]: a match that ends with what must not come needs",
    ],
    [[{ step: "a", times: { min: 1 }, greedy: true }], "pattern[0].greedy: a match can end here"],
    [
      [{ step: "a" }, { group: [{ step: "b", times: { min: 1 }, greedy: true }] }],
      "pattern[1].group[0].greedy: a match can end here",
    ],
    [
      [{ group: [{ step: "a" }], until: { field: "ok" } }],
      "pattern[0].until: groups do not have it",
    ],
    [
      [{ step: "a", times: { min: 300 } }],
      "pattern[0].times.min: must be a whole number, 0 to 256",
    ],
    [
      [{ group: [{ step: "a", times: { min: 100 } }], times: { min: 3 } }],
      "pattern: has 300 steps, repetitions counted, more than 256; to count many events use",
    ],
    [
      Array.from({ length: 33 }, (_, i) => ({ step: `s${i}` })),
      "pattern: has 33 conditions (steps, negations and until), more than 32",
    ],
  ])("%j", (elements, message) => {
    expect(planning(elements).join("\n")).toContain(message);
  });

  it("says what values, skip and onTimeout take", () => {
    const elements = [{ step: "first" }, { step: "second" }];
    const values = {
      bare: { field: "price" },
      list: { op: "add", args: [{ match: "ids" }, { literal: 1 }] },
      text: { step: "first", fn: "sum", of: { field: "address" } },
      typo: { step: "frist", fn: "count" },
    };
    expect(
      planning(elements, { values, skip: { strategy: "skipToLast" }, onTimeout: "emit" }),
    ).toEqual([
      "skip.step: is missing: it must be text",
      "onTimeout: without within a partial match never times out; add within",
      'values.bare: price is of a single event, and a match has several; say of which step, for example step("first").field("price")',
      "values.list.args[0]: match.ids stands alone; it cannot be an operand",
      'values.text.of: "sum" takes a number, but address is a string',
      'values.typo.step: no step "frist" comes before this; did you mean "first"?',
    ]);
  });

  it("written in TypeScript speaks of its options", () => {
    const source = logins;
    const written = mistakesOf(() =>
      pattern("p", { source, pattern: begin("a").notNext("n"), skip: skipToFirst("other") }),
    );
    expect(written).toEqual([
      expect.stringContaining("pattern[1]: a match that ends with what must not come"),
      'skip.step: the pattern has no step "other"; the steps are "a"',
    ]);
    expect(mistakesOf(() => pattern("p", { source, pattern: [] as never }))).toEqual([
      'pattern: must begin with begin("first", ...)',
    ]);
  });
});
