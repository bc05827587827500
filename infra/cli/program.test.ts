import { CommanderError } from "commander";
import { Effect } from "effect";
import { expect, it } from "vitest";
import { makeProgram, type Actions } from "./program.ts";

/** Parses a command line and says which action it called with what, or how it failed. */
const parse = (...line: string[]) => {
  const calls: unknown[][] = [];
  let output = "";
  const actions = new Proxy({} as Actions, {
    get:
      (_, name) =>
      (...args: unknown[]) => {
        calls.push([name, ...args]);
        return Effect.succeed(0);
      },
  });
  const program = makeProgram("1.2.3", actions, () => undefined);
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => (output += text),
      writeErr: (text) => (output += text),
    });
  }
  let error: unknown;
  try {
    program.parse(line, { from: "user" });
  } catch (failure) {
    error = failure;
  }
  return { calls, output, error };
};

it("reads options with their types and defaults", () => {
  expect(parse("demo", "--events", "20_000", "--exit").calls).toEqual([
    ["demo", { events: 20_000, exit: true, seed: 1 }],
  ]);
  expect(parse("publish", "orders", "--type", "orders.Paid").calls).toEqual([
    ["publish", "orders", "-", { type: "orders.Paid" }],
  ]);
  expect(parse("schema").calls).toEqual([["schema", "projection"]]);
  expect(parse("list", "p", "--from", "2001-03-01", "--limit", "5").calls).toEqual([
    ["list", "p", { key: "", from: Date.UTC(2001, 2, 1), limit: 5 }],
  ]);
});

it.each([
  [["demo", "--events", "0"], "It must be a whole number of at least 1."],
  [["demo", "--event", "5"], "unknown option '--event'"],
  [["list", "p", "--from", "2001-03-01T08:00:00"], "a time with its zone"],
  [["get", "p"], "missing required argument 'key'"],
  [["schema", "topics"], "Allowed choices are projection, topic."],
  [["frobnicate"], "unknown command 'frobnicate'"],
])("refuses %j and says why", (line, reason) => {
  const { calls, output, error } = parse(...line);
  expect(error).toBeInstanceOf(CommanderError);
  expect(calls).toEqual([]);
  expect(output).toContain(reason);
});

const names = makeProgram("1.2.3", {} as Actions, () => undefined).commands.map((one) =>
  one.name(),
);

it("begins with examples", () => {
  expect(parse("--help").output).toMatch(/Examples:\n {2}\$ tidemark start\n/);
});

it.each(names)(
  "shows examples in the help of %s, and they are commands that it takes",
  (command) => {
    const { output } = parse(command, "--help");
    const examples = output.split("Examples:\n")[1]!.match(/tidemark \S.*/g) ?? [];
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      const words = example
        .split(/ [>|] /)[0]!
        .replaceAll("'", "")
        .split(" ")
        .slice(1);
      expect(words[0]).toBe(command);
      const { calls, error } = parse(...words);
      expect(error, example).toBeUndefined();
      expect(calls).toHaveLength(1);
    }
  },
);
