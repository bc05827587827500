/**
 * Who is guessing passwords? Three failed logins of an account within five minutes lock it for a quarter of
 * an hour; a successful login clears its record. Drawn in `logins.svg`.
 */
import { assign, emit, setup } from "xstate";
import { statechart, topic } from "../index.ts";
import type { FoldEvent } from "../index.ts";

export const logins = topic("logins", {
  schemas: ["./logins.proto"],
  types: ["auth.LoginSucceeded", "auth.LoginFailed"],
  partitions: 4,
  maxOutOfOrderness: "10 seconds",
});

const WITHIN_MS = 5 * 60_000;
const FAILURES = 3;

export const loginMachine = setup({
  types: {
    context: {} as { readonly failures: readonly number[] },
    events: {} as Omit<FoldEvent, "type"> & {
      readonly type: "auth.LoginFailed" | "auth.LoginSucceeded";
    },
  },
  guards: {
    isThird: ({ context, event }) =>
      context.failures.filter((time) => event.time - time < WITHIN_MS).length + 1 >= FAILURES,
  },
  actions: {
    remember: assign(({ context, event }) => ({
      failures: [...context.failures, event.time].slice(1 - FAILURES),
    })),
    forget: assign({ failures: [] }),
    alarm: emit(({ context, event }) => ({
      type: "locked",
      failures: [...context.failures, event.time],
      address: event.data["address"],
    })),
  },
}).createMachine({
  id: "login",
  context: { failures: [] },
  initial: "open",
  states: {
    open: {
      on: {
        "auth.LoginFailed": [
          { guard: "isThird", target: "locked", actions: ["alarm", "forget"] },
          { actions: "remember" },
        ],
        "auth.LoginSucceeded": { actions: "forget" },
      },
    },
    locked: { after: { 900_000: { target: "open", actions: emit({ type: "unlocked" }) } } },
  },
});

export const suspiciousLogins = statechart("suspicious-logins", {
  description: "Accounts with three failed logins within five minutes",
  source: logins,
  machine: loginMachine,
});
