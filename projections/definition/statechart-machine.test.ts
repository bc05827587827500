/** M2: events that can never come. The rest of a machine is checked in `actors/statechart`. */
import { enqueueActions, raise, setup } from "xstate";
import { expect, test } from "vitest";
import { parseSchema } from "../schema/schema-set.ts";
import { planProjection, planTopic } from "./plan-projection.ts";
import { statechart, type StatechartOptions } from "./statechart.ts";
import { topic } from "./topic.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package kiosk;
  message LoginFailed { string address = 1; }
  message LoginFailing { string address = 1; }
  message Opened { string address = 1; }
`);
const kiosk = topic("kiosk", {
  schemas: ["/kiosk.proto"],
  types: ["kiosk.LoginFailed", "kiosk.LoginFailing", "kiosk.Opened"],
  partitions: 1,
});
const PLAN = planTopic(kiosk, schemas);

type Options = Partial<StatechartOptions<"kiosk.LoginFailed">>;
type Actions = Parameters<ReturnType<typeof setup>["createMachine"]>[0]["entry"];

/** Of a machine that waits for one event in the state `a`, and does something when it gets to `b`. */
const planning =
  (name: string, options: Options = {}, entry: Actions = []) =>
  () => {
    const machine = setup({
      actions: { tellEarly: raise({ type: "kiosk.LoginFaild" }) },
    }).createMachine({
      initial: "a",
      states: { a: { on: { [name]: "b" } }, b: { entry: entry as [] } },
    });
    return planProjection(statechart("p", { source: kiosk, machine, ...options }), PLAN);
  };

test("M2: an event named almost as a type is a mistake, with its place and the type", () => {
  expect(planning("kiosk.LoginFaild")).toThrow(
    'machine.states.a.on: topic "kiosk" has no event type "kiosk.LoginFaild", and the machine does ' +
      'not raise it; did you mean "kiosk.LoginFailed"?',
  );
  expect(planning("kiosk.loginFailed")).toThrow('did you mean "kiosk.LoginFailed"?');
  const raised = raise({ type: "kiosk.LoginFaild2" });
  expect(planning("kiosk.LoginFaild", {}, raised)).toThrow("machine.states.a.on");
});

test.each(["kiosk.LoginFailed", "timed out", "kiosk.LoginFaild.*", "*", "xstate.done.state.a"])(
  "M2: %s is none",
  (name) => {
    expect(planning(name)).not.toThrow();
  },
);

test("M2: nor is a type that the projection does not read", () => {
  expect(planning("kiosk.LoginFailing", { types: ["kiosk.LoginFailed"] })).not.toThrow();
});

test("M2: nor is what the machine raises, or may raise, or what toEvent may send", () => {
  const type = "kiosk.LoginFaild";
  for (const entry of [
    raise({ type }),
    raise(() => ({ type })),
    enqueueActions(({ enqueue }) => enqueue.raise({ type })),
    "tellEarly",
  ]) {
    expect(planning(type, {}, entry as Actions)).not.toThrow();
  }
  expect(planning(type, { toEvent: () => ({ type }) })).not.toThrow();
});
