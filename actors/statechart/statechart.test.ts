/** Statecharts against XState itself, and as their users see them. */
import fc from "fast-check";
import {
  assign,
  createMachine,
  cancel,
  emit,
  initialTransition as initialTransitionOf,
  raise,
  setup,
  spawnChild,
  transition as transitionOf,
} from "xstate";
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";
import { expect, test } from "vitest";
import { MICROSTEPS_OF_TURN_MAX } from "../ordered/limits.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { testProjection } from "../testkit/test-projection.ts";
import { inOrder } from "./configurations.ts";
import { MachineStepper } from "./machine-step.ts";
import { EVENTS, randomMachine } from "./random-machine.suite.ts";

/** Parallel regions, history, guards, delays by name and by number, raised and cancelled events. */
const rich = setup({
  types: {
    context: {} as { readonly n: number; readonly seen: readonly string[] },
    events: {} as EventObject & { readonly cents?: number },
  },
  delays: { soon: ({ context }) => 10 + context.n },
  guards: { odd: ({ context }) => context.n % 2 === 1 },
  actions: {
    add: assign({ n: ({ context }) => context.n + 1 }),
    tell: emit(({ context, event }) => ({ type: "told", n: context.n, by: event.type })),
  },
}).createMachine({
  id: "rich",
  type: "parallel",
  context: { n: 0, seen: [] },
  states: {
    left: {
      initial: "a",
      states: {
        a: {
          entry: "tell",
          after: { 20: "b", soon: { guard: "odd", target: "c" } },
          on: { X: "b", Y: { target: "c", actions: ["add", "tell"] } },
        },
        b: {
          on: { X: { target: "a", actions: "add" }, Z: { actions: raise({ type: "Y" }) } },
          initial: "one",
          states: {
            one: { on: { Y: "two" } },
            two: { after: { 5: "one" } },
            last: { type: "history" },
          },
        },
        c: { always: { guard: "odd", target: "b.last" }, on: { X: "a" } },
      },
    },
    right: {
      initial: "waiting",
      states: {
        waiting: {
          on: {
            Y: { actions: raise({ type: "PING", cents: 3 }, { delay: 7, id: "ping" }) },
            Z: { actions: cancel("ping") },
            W: { actions: raise({ type: "PING" }, { delay: 3 }) },
            PING: {
              actions: [
                "tell",
                assign({ seen: ({ context, event }) => [...context.seen, String(event["cents"])] }),
              ],
            },
          },
        },
      },
    },
  },
});

/** XState's own steps, their snapshots in the order that a restart keeps. */
const transition = (machine: AnyStateMachine, from: AnyMachineSnapshot, event: EventObject) => {
  const [snapshot, actions] = transitionOf(machine, from, event);
  return [inOrder(snapshot), actions] as const;
};
const initialTransition = (machine: AnyStateMachine, input?: unknown) => {
  const [snapshot, actions] = initialTransitionOf(machine, input as never);
  return [inOrder(snapshot), actions] as const;
};

const told = (snapshot: AnyMachineSnapshot) => ({
  status: snapshot.status,
  // With the order of its members.
  value: JSON.stringify(snapshot.value),
  context: snapshot.context,
  tags: [...(snapshot.tags as Set<string>)],
  active: (snapshot as unknown as { readonly _nodes: { id: string }[] })._nodes.map(({ id }) => id),
  history: Object.entries(snapshot.historyValue as Record<string, { id: string }[]>).map(
    ([id, states]) => [id, states.map((state) => state.id)],
  ),
});

const asked = (actions: readonly { readonly type: string; readonly params?: unknown }[]) =>
  actions.flatMap(({ type, params }): object[] => {
    const given = params as Record<string, unknown>;
    if (type === "xstate.raise" && given["delay"] === undefined) return [];
    if (type === "xstate.raise") {
      const { id, event, delay } = given;
      return [{ do: "raise", id, event, delay }];
    }
    if (type === "xstate.cancel") return [{ do: "cancel", id: given["sendId"] }];
    return [{ do: "emit", event: given["event"] }];
  });

const RICH_EVENTS = ["X", "Y", "Z", "W", "PING", "OTHER", "xstate.after.20.rich.left.a"];

test("T1: steps are those of XState's own transition", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...RICH_EVENTS), { maxLength: 40 }), (types) => {
      const machine: AnyStateMachine = rich;
      const stepper = new MachineStepper(machine);
      let [theirs, actions] = initialTransition(machine);
      let ours = stepper.initial(undefined);
      for (const type of ["", ...types]) {
        if (type !== "") {
          [theirs, actions] = transition(machine, theirs, { type, cents: 1 } as EventObject);
          ours = stepper.next(ours, { type, cents: 1 } as EventObject);
        }
        expect(told(ours)).toEqual(told(theirs));
        expect(stepper.commands).toEqual(asked(actions as never));
      }
      expect(stepper.longSteps).toBe(0);
    }),
    { numRuns: propertyRuns(200) },
  );
});

/** One region is done before the other raises an event, and the second is done with an output. */
const ending = setup({
  types: { context: {} as { readonly n: number }, events: {} as EventObject },
  actions: {
    add: assign({ n: ({ context }) => context.n + 1 }),
    tell: emit(({ event }) => ({
      type: event.type,
      output: (event as { readonly output?: unknown }).output,
    })),
  },
}).createMachine({
  id: "m",
  context: { n: 0 },
  on: { "*": { actions: "tell" } },
  initial: "both",
  states: {
    both: {
      type: "parallel",
      states: {
        one: {
          initial: "at",
          onDone: { actions: "tell" },
          states: { at: { on: { X: "end" } }, end: { type: "final" } },
        },
        two: {
          initial: "at",
          onDone: { target: ".at", actions: ["tell", "add"] },
          states: {
            at: { on: { X: { target: "end", actions: "add" } } },
            end: {
              type: "final",
              entry: ["add", raise({ type: "RAISED" })],
              output: ({ context }) => context.n,
            },
          },
        },
      },
    },
  },
});

test("T1: events of states that are done come in their order among those that are raised", () => {
  const machine: AnyStateMachine = ending;
  const stepper = new MachineStepper(machine);
  let [theirs, actions] = initialTransition(machine);
  let ours = stepper.initial(undefined);
  const seen: string[][] = [];
  for (const type of ["X", "X", "OTHER", "X"]) {
    [theirs, actions] = transition(machine, theirs, { type });
    ours = stepper.next(ours, { type });
    expect(told(ours)).toEqual(told(theirs));
    expect(stepper.commands).toEqual(asked(actions as never));
    seen.push(
      stepper.commands.flatMap((each) =>
        each.do === "emit"
          ? `${each.event.type} ${String((each.event as { output?: unknown }).output)}`
          : [],
      ),
    );
  }
  expect(stepper.longSteps).toBe(0);
  expect(seen[0]).toEqual([
    "xstate.done.state.m.both.one undefined",
    "RAISED undefined",
    "xstate.done.state.m.both.two 2",
    "xstate.done.state.m.both undefined",
  ]);
});

/** What a step gives, or how it fails; undefined when it fails. */
const tried = (step: () => readonly [AnyMachineSnapshot, readonly unknown[]]) => {
  try {
    const [snapshot, commands] = step();
    if (snapshot.status === "error") throw snapshot.error;
    return { snapshot, given: { ...told(snapshot), commands } };
  } catch (error) {
    const { name, message } = error as Error;
    return { snapshot: undefined, given: name === "TurnRefused" ? message : `${name}: ${message}` };
  }
};

test("T1: steps of random machines are those of XState's own transition, and few go through it", () => {
  let short = 0;
  const event = fc.record({ type: fc.constantFrom(...EVENTS), restart: fc.boolean() });
  fc.assert(
    fc.property(
      randomMachine,
      fc.nat({ max: 6 }),
      fc.array(event, { maxLength: 14 }),
      (given, input, events) => {
        fc.pre(given !== undefined);
        const { machine } = given;
        const stepper = new MachineStepper(machine);
        const first = tried(() => {
          const [snapshot, actions] = initialTransition(machine, input);
          return [snapshot, asked(actions as never)];
        });
        const ours = tried(() => [stepper.initial(input), stepper.commands]);
        const threw = (given: unknown) =>
          typeof given === "string" ? given.replace("the machine threw ", "") : given;
        expect(threw(ours.given)).toEqual(first.given);
        let snapshot: AnyMachineSnapshot | undefined = first.snapshot;
        let mine: AnyMachineSnapshot | undefined = ours.snapshot;
        for (const { type, restart } of events) {
          if (snapshot?.status !== "active" || mine === undefined) return;
          if (restart)
            [snapshot, mine] = [
              inOrder(machine.resolveState(snapshot as never)),
              stepper.restored(mine),
            ];
          const from: AnyMachineSnapshot = snapshot;
          const fromMine: AnyMachineSnapshot = mine;
          const after = tried(() => {
            const [next, actions] = transition(machine, from, { type } as EventObject);
            return [next, asked(actions as never)];
          });
          const before = stepper.longSteps;
          const own = tried(() => [
            stepper.next(fromMine, { type } as EventObject),
            stepper.commands,
          ]);
          expect(threw(own.given)).toEqual(after.given);
          expect(own.snapshot === fromMine).toBe(after.snapshot === from);
          if (after.snapshot?.status === "active") {
            expect(stepper.longSteps).toBe(before);
            short++;
          } else expect(stepper.longSteps).toBe(before + 1);
          // A step that fails changes nothing.
          snapshot = after.snapshot ?? from;
          mine = own.snapshot ?? fromMine;
        }
      },
    ),
    // Smaller machines are other machines: shrinking takes long, and says little.
    { numRuns: propertyRuns(200), endOnFailure: true },
  );
  expect(short).toBeGreaterThan(0);
});

test("G2: steps of random machines are the same with a restart before each", () => {
  fc.assert(
    fc.property(
      randomMachine,
      fc.nat({ max: 6 }),
      fc.array(fc.constantFrom(...EVENTS), { maxLength: 14 }),
      (given, input, types) => {
        fc.pre(given !== undefined);
        const { machine } = given;
        const stepper = new MachineStepper(machine);
        let { snapshot } = tried(() => [stepper.initial(input), stepper.commands]);
        for (const type of types) {
          if (snapshot?.status !== "active") return;
          const from: AnyMachineSnapshot = snapshot;
          const before = stepper.restored(from);
          expect(told(before)).toEqual(told(from));
          const straight = tried(() => [stepper.next(from, { type }), stepper.commands]);
          const again = tried(() => [stepper.next(before, { type }), stepper.commands]);
          expect(again.given).toEqual(straight.given);
          snapshot = straight.snapshot ?? from;
        }
      },
    ),
    { numRuns: propertyRuns(200), endOnFailure: true },
  );
});

const TOPIC = { types: { X: { cents: "int32" }, Y: {}, Z: {}, W: {} }, maxOutOfOrdernessMs: 50 };

const chart = (machine: object, options: object = {}) =>
  testProjection(
    { kind: "statechart", machine, ...options },
    { topic: TOPIC, clock: 1_000_000, once: false },
  );

test("C2, C4: any run is the same in any batches and with a restart at every event", () => {
  const events = fc.array(
    fc.record({
      key: fc.constantFrom("k", "l"),
      time: fc.integer({ min: 1_000, max: 1_200 }),
      type: fc.constantFrom("X", "Y", "Z", "W"),
    }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(events, (given) => {
      // Books are all that is expected; that the four runs of a case agree is what is tested.
      chart(rich, { toEvent: (event: { type: string }) => ({ type: event.type }) })
        .events(given)
        .watermark(1_300)
        .expect({ books: { events: given.length } });
    }),
    { numRuns: propertyRuns(60) },
  );
});

test("C2: delays run in event time, before events of the time at which they are due", () => {
  const machine = setup({}).createMachine({
    id: "m",
    initial: "off",
    states: {
      off: { on: { X: "on" } },
      on: {
        after: { 10: { target: "off", actions: emit({ type: "timeout" }) } },
        on: { Y: { target: "off", actions: emit({ type: "in time" }) } },
      },
    },
  });
  chart(machine)
    .batch([
      { key: "a", time: 110, type: "Y" },
      { key: "a", time: 100, type: "X" },
      { key: "b", time: 109, type: "Y" },
      { key: "b", time: 100, type: "X" },
    ])
    .watermark(109)
    .expectUpdates({ key: "b", window: [109, 110], kind: "final", type: "in time", data: {} })
    .watermark(110)
    .expectUpdates({ key: "a", window: [110, 111], type: "timeout" });
});

test("C1: a machine that is done is forgotten, and begins anew with the key and the time", () => {
  const machine = setup({
    types: { context: {} as { born: unknown } },
  }).createMachine({
    context: ({ input }) => ({ born: input }),
    initial: "a",
    states: {
      a: {
        on: { X: { target: "b", actions: emit(({ context }) => ({ type: "end", ...context })) } },
      },
      b: { type: "final" },
    },
  });
  chart(machine)
    .batch([
      { key: "k", time: 10, type: "X" },
      { key: "k", time: 10, type: "X" },
      { key: "k", time: 20, type: "X" },
    ])
    .watermark(30)
    .expectUpdates(
      { window: 10, ordinal: 0, data: { born: { key: "k", time: 10 } } },
      { window: 10, ordinal: 1, data: { born: { key: "k", time: 10 } } },
      { window: 20, ordinal: 0, data: { born: { key: "k", time: 20 } } },
    );
});

test("C4: a history is the same state, whatever restarts lie before it", () => {
  const sides = (event: string) => ({
    initial: "a",
    states: { a: { on: { [event]: "b" } }, b: {} },
  });
  const machine = setup({}).createMachine({
    id: "m",
    initial: "inside",
    states: {
      inside: {
        type: "parallel",
        on: { Z: "outside" },
        states: {
          left: sides("X"),
          right: sides("Y"),
          again: { type: "history", history: "deep" },
        },
      },
      outside: { on: { W: "inside.again" } },
    },
  });
  // Without a restart XState remembers the regions in the order in which they changed.
  chart(machine, { toEvent: (event: { type: string }) => ({ type: event.type }) })
    .event({ key: "k", time: 10, type: "X" })
    .watermark(15)
    .event({ key: "k", time: 20, type: "Z" })
    .watermark(30)
    .expectBooks({ counted: 2 });
});

test("C4: regions go on in the order of the machine, whichever of them was entered last", () => {
  const on = ({ context }: { readonly context: { readonly on: boolean } }) => context.on;
  const machine = setup({
    types: { context: {} as { readonly on: boolean }, events: {} as EventObject },
  }).createMachine({
    id: "m",
    type: "parallel",
    context: { on: false },
    states: {
      a: {
        initial: "first",
        states: {
          first: { on: { X: "second" } },
          second: { always: { guard: on, target: "end", actions: emit({ type: "a" }) } },
          end: {},
        },
      },
      b: {
        initial: "first",
        on: { Y: { actions: assign({ on: true }) } },
        states: {
          first: { always: { guard: on, target: "end", actions: emit({ type: "b" }) } },
          end: {},
        },
      },
    },
  });
  // A restart lies between the two, in one run of the case.
  chart(machine)
    .events([{ key: "k", time: 1_000, type: "X" }])
    .watermark(1_100)
    .events([{ key: "k", time: 1_101, type: "Y" }])
    .watermark(1_300)
    .expectUpdates({ window: 1_101, type: "a" }, { window: 1_101, type: "b" });
});

test("C3: a guard or an action that throws refuses the event, and the machine stays as it was", () => {
  const machine = setup({
    types: {
      context: {} as { n: number },
      events: {} as EventObject & { data: { cents: number } },
    },
  }).createMachine({
    context: { n: 0 },
    on: {
      X: {
        guard: ({ event }) => {
          if (event.data.cents === 13) throw new Error("unlucky");
          return true;
        },
        actions: [
          assign({ n: ({ context, event }) => context.n + 1 / (event.data.cents === 0 ? 0 : 1) }),
          emit(({ context }) => ({ type: "n", n: context.n })),
        ],
      },
    },
  });
  chart(machine)
    .batch([1, 13, 0, 2].map((cents, i) => ({ key: "k", time: 10 + i, type: "X", cents })))
    .watermark(30)
    .expectUpdates({ window: 10, data: { n: 1 } }, { window: 13, data: { n: 2 } })
    .expectDeadLetters(
      { reason: "poison", time: 11, error: "the machine threw Error: " },
      { reason: "poison", time: 12, error: "the context at n is Infinity" },
    )
    .expectBooks({ events: 4, counted: 2, poison: 2 });
});

test("C3: a machine that never comes to rest refuses the event, and the partition goes on", () => {
  const machine = setup({}).createMachine({
    id: "m",
    initial: "off",
    states: {
      off: { on: { X: "ping", Y: { actions: emit({ type: "still here" }) } } },
      ping: { always: "pong" },
      pong: { always: "ping" },
    },
  });
  chart(machine)
    .batch([
      { key: "a", time: 10, type: "X" },
      { key: "a", time: 11, type: "Y" },
    ])
    .watermark(100)
    .expectUpdates({ key: "a", window: [11, 12], type: "still here", data: {} })
    .expectDeadLetters({
      reason: "poison",
      time: 10,
      error: `processed more than ${MICROSTEPS_OF_TURN_MAX} microsteps`,
    });
});

type Counting = { readonly context: { readonly n: number; readonly to: number } };

test("T3: the limit of microsteps is XState's, to the step, and the user's own where it is less", () => {
  const counting = (maxIterations: number) =>
    createMachine({
      context: { n: 0, to: 0 },
      initial: "off",
      options: { maxIterations },
      states: {
        off: {
          on: {
            X: {
              target: "on",
              actions: assign({ to: ({ event }) => (event as unknown as { to: number }).to }),
            },
          },
        },
        on: {
          always: {
            guard: ({ context }: Counting) => context.n < context.to,
            actions: assign({ n: ({ context }: Counting) => context.n + 1 }),
          },
        },
      },
    });
  for (const [given, limit] of [
    [7, 7],
    [Number.POSITIVE_INFINITY, MICROSTEPS_OF_TURN_MAX],
  ] as const) {
    const stepper = new MachineStepper(counting(given));
    const reference: AnyStateMachine = counting(limit);
    for (const to of [limit - 2, limit - 1, limit]) {
      const event = { type: "X", to };
      const [start] = initialTransition(reference);
      const theirs = tried(() => [transition(reference, start, event)[0], []]);
      const ours = tried(() => [stepper.next(stepper.initial(undefined), event), []]);
      expect(ours.snapshot === undefined).toBe(to === limit);
      if (typeof ours.given === "string") expect(ours.given).toContain(theirs.given);
      else expect(ours.given).toEqual(theirs.given);
    }
    expect(stepper.longSteps).toBe(1);
  }
});

test("C4: what is delayed is bounded for all events of a key together", () => {
  const machine = setup({}).createMachine({
    on: {
      X: {
        actions: raise(
          ({ event }) => ({ type: "LATER", text: "x".repeat(30_000), by: event.type }),
          {
            delay: 50,
          },
        ),
      },
      LATER: { actions: emit({ type: "later" }) },
    },
  });
  chart(machine, { toEvent: (event: { type: string }) => ({ type: event.type }) })
    .batch([10, 11, 12].map((time) => ({ key: "k", time, type: "X" })))
    .watermark(61)
    .expectUpdates({ window: 60, type: "later" }, { window: 61, type: "later" })
    .expectDeadLetters({ reason: "poison", time: 12, error: "what is delayed has more than" });
});

test("M1: machines that are more than a pure function are refused, with the place", () => {
  const child = setup({}).createMachine({});
  const mistakes = (machine: object) => () => chart(machine).expectNothing();
  const withAction = (action: object) =>
    setup({ actors: { child } }).createMachine({
      initial: "a",
      states: { a: { on: { X: { actions: action as never } } } },
    });
  expect(
    mistakes(setup({ actors: { child } }).createMachine({ invoke: { src: "child" } })),
  ).toThrow("machine.invoke: a statechart runs no actors");
  expect(mistakes(withAction(spawnChild("child")))).toThrow(
    "machine.states.a.on.X.actions: spawnChild needs other actors",
  );
  expect(mistakes(withAction(() => {}))).toThrow("a function that would do something outside");
  expect(mistakes({ config: {} })).toThrow("machine: must be a machine of XState 5");
  const spawning = setup({ actors: { child }, types: { context: {} as object } }).createMachine({
    context: ({ spawn }) => ({ ref: spawn("child").id }),
  });
  chart(spawning)
    .event({ key: "k", time: 10, type: "X" })
    .watermark(20)
    .expectDeadLetters({ reason: "poison", error: "spawn" });
});
