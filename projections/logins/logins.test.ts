import { expect, it } from "vitest";
import { createActor, SimulatedClock } from "xstate";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { loginMachine, logins, suspiciousLogins } from "./logins.ts";

const MINUTE = 60_000;

it("is a plan whose results are what the machine emits", () => {
  const plan = planProjection(suspiciousLogins, planTopic(logins, loadSchemas(logins.schemas)));
  expect(plan).toMatchObject({
    kind: "statechart",
    outputs: [
      { name: "type", type: "string" },
      { name: "data", type: "any" },
    ],
  });
});

/** The same machine, run by XState itself. */
const emittedOf = (...attempts: readonly (readonly [minute: number, outcome: string])[]) => {
  const clock = new SimulatedClock();
  const emitted: string[] = [];
  const actor = createActor(loginMachine, { clock }).start();
  actor.on("*", (event) => emitted.push((event as { type: string }).type));
  for (const [minute, outcome] of attempts) {
    clock.set(minute * MINUTE);
    const type = `auth.Login${outcome}` as "auth.LoginFailed";
    actor.send({ type, id: "", key: "ada", time: minute * MINUTE, data: { address: "::1" } });
  }
  clock.set(1_000 * MINUTE);
  return emitted;
};

const failed = (...minutes: readonly number[]) =>
  minutes.map((minute) => [minute, "Failed"] as const);

it("locks an account at the third failure within five minutes, and unlocks it", () => {
  expect(emittedOf(...failed(0, 1, 4.9))).toEqual(["locked", "unlocked"]);
  expect(emittedOf(...failed(0, 1, 5))).toEqual([]);
  expect(emittedOf(...failed(0, 1, 5, 5.5))).toEqual(["locked", "unlocked"]);
  expect(emittedOf(...failed(0, 1, 2, 3, 4, 5, 6))).toEqual(["locked", "unlocked"]);
});

it("clears the record with a success", () => {
  expect(emittedOf([0, "Failed"], [1, "Failed"], [2, "Succeeded"], [3, "Failed"])).toEqual([]);
});
