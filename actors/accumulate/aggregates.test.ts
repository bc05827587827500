import { expect, test } from "vitest";
import { makeAccumulator } from "./aggregates.ts";

test("an aggregate of the user's runs under its name", () => {
  const init = () => {
    throw new Error("no state");
  };
  const code = { init, add: init, merge: init, result: init };
  const definition = { fn: "custom", inputs: {}, version: "1", ...code } as const;
  const made = () => makeAccumulator({ name: "best", definition, inputType: undefined });
  expect(made).toThrow("aggregates.best.init threw Error: no state");
});
