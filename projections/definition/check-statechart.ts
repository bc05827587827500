/** Checks what statecharts have beside what all projections have. */
import type { KindChecker } from "./checked-kind.ts";
import { checkFunction, checkVersion } from "./code.ts";
import type { StatechartProjection } from "./definition.ts";
import type { StatechartPlan } from "./plan.ts";
import { checkMachine } from "./statechart-machine.ts";

export const statechartKind: KindChecker<StatechartPlan> = {
  keys: ["machine", "toEvent", "version"],
  check: (given, { mistakes, topic }) => {
    // What toEvent sends may have any name.
    const sent = given["toEvent"] === undefined ? topic : undefined;
    const machine = checkMachine(given["machine"], mistakes, sent);
    const example = '(event) => ({ type: "PAID", amount: event.data.amount })';
    const toEvent =
      given["toEvent"] === undefined
        ? undefined
        : (checkFunction(given["toEvent"], "toEvent", example, mistakes) as
            StatechartProjection["toEvent"] | undefined);
    const version = checkVersion(given["version"], "version", mistakes);
    return {
      definition: { kind: "statechart", machine: machine!, toEvent, version: version! },
      plan: { kind: "statechart" },
      outputs: [
        { name: "type", type: "string" },
        { name: "data", type: "any" },
      ],
      covered: { kind: "statechart", machine, toEvent, version },
    };
  },
};
