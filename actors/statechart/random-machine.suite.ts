/** Random machines of all that a statechart may have, for tests that hold steps against XState's. */
import fc from "fast-check";
import {
  and,
  assign,
  cancel,
  createMachine,
  emit,
  enqueueActions,
  not,
  or,
  raise,
  stateIn,
} from "xstate";
import type { AnyStateMachine, EventObject } from "xstate";

/**
 * What could go on for ever costs fuel: transitions without an event, those that react to what machines
 * themselves say, and events that are raised.
 */
const FUEL = 12;

interface Context {
  readonly n: number;
  readonly fuel: number;
}
type Args = { readonly context: Context; readonly event: EventObject };

const burn = assign({ fuel: ({ context }: Args) => context.fuel - 1 });
const ACTIONS: Readonly<Record<string, unknown>> = {
  add: assign({ n: ({ context }: Args) => context.n + 1 }),
  twice: assign(({ context }: Args, params: unknown) => ({
    n: context.n * 2 + ((params as { by?: number } | undefined)?.by ?? 0),
  })),
  tell: emit(({ context, event }: Args) => ({
    type: "told",
    n: context.n,
    by: event.type,
    output: (event as { readonly output?: unknown }).output,
  })),
  later: raise(({ context }: Args) => ({ type: "LATER", n: context.n }) as EventObject, {
    delay: ({ context }: Args) => 5 + context.n,
    id: "later",
  }),
  named: raise({ type: "NAMED" }, { delay: "soon" as never }),
  never: cancel("later"),
  maybe: enqueueActions(({ context, enqueue, check }) => {
    if (check("odd")) enqueue("add");
    else enqueue.assign({ n: (context as Context).n + 3 });
    enqueue.emit({ type: "maybe" } as never);
    if ((context as Context).fuel <= 0) return;
    enqueue(burn as never);
    enqueue.raise({ type: "RAISED" });
  }),
  oops: assign(({ context }: Args) => {
    if (context.n % 16 === 15) throw new Error(`no more than ${context.n}`);
    return {};
  }),
};

const GUARDS = {
  odd: ({ context }: Args) => context.n % 2 === 1,
  atLeast: ({ context }: Args, params: unknown) => context.n >= (params as { n: number }).n,
  fueled: ({ context }: Args) => context.fuel > 0,
};

type Shape =
  "atomic" | "final" | "history" | { readonly of: readonly Shape[]; readonly all: boolean };

const { shape } = fc.letrec<{ shape: Shape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { arbitrary: fc.constant<Shape>("atomic"), weight: 4 },
    { arbitrary: fc.constantFrom<Shape>("final", "history"), weight: 1 },
    {
      arbitrary: fc.record({
        of: fc.array(tie("shape"), { minLength: 1, maxLength: 3 }),
        all: fc.boolean(),
      }),
      weight: 4,
    },
  ),
}));

const root = fc.record({
  of: fc.array(shape, { minLength: 2, maxLength: 4 }),
  all: fc.constantFrom(false, false, true),
});

export const EVENTS = ["A", "B", "A.b", "B", "A", "LATER", "RAISED", "OTHER"];

const shown = (config: unknown): string =>
  JSON.stringify(config, (_, value: unknown) =>
    typeof value === "function" ? `${value}`.replaceAll(/\s+/g, " ") : value,
  );

/** An endless list of choices, from which a machine is filled in. */
type Choose = <T>(of: readonly T[]) => T;

class MachineWriter {
  readonly #choose: Choose;
  readonly #ids: string[] = [];

  constructor(choose: Choose) {
    this.#choose = choose;
  }

  write(shape: Shape): AnyStateMachine {
    this.#count(shape, "s");
    const config = {
      ...this.#state(shape, "s"),
      context: ({ input }: { readonly input: unknown }) => ({ n: input, fuel: FUEL }),
    };
    return createMachine(config as never, {
      actions: ACTIONS as never,
      guards: GUARDS as never,
      delays: { soon: ({ context }: Args) => 3 + context.n } as never,
    });
  }

  #count(shape: Shape, id: string): void {
    this.#ids.push(id);
    if (typeof shape === "string") return;
    shape.of.forEach((inner, i) => this.#count(inner, `${id}${i}`));
  }

  #state(shape: Shape, id: string): object {
    if (shape === "history") {
      return { id, type: "history", history: this.#choose(["shallow", "deep"]) };
    }
    const some = this.#choose([false, true]);
    const acts = { entry: this.#actions(), exit: this.#actions(), tags: some ? [id] : [] };
    if (shape === "final") {
      return {
        ...acts,
        id,
        type: "final",
        output: this.#choose<unknown>([undefined, 7, ({ context }: Args) => context.n]),
      };
    }
    const reacts = {
      ...acts,
      id,
      on: {
        ...(some && { A: this.#transitions(false) }),
        B: this.#transitions(false),
        RAISED: this.#transitions(false),
        ...(!some && { "*": this.#transitions(true), "A.*": this.#transitions(false) }),
        LATER: this.#transitions(false),
      },
      after: this.#choose<unknown>([undefined, { 10: this.#target() }, { soon: this.#target() }]),
      always: this.#choose([false, false, true]) ? this.#transitions(true) : undefined,
    };
    if (shape === "atomic") return reacts;
    const states = Object.fromEntries(
      shape.of.map((inner, i) => [`k${i}`, this.#state(inner, `${id}${i}`)]),
    );
    const onDone = this.#choose([false, true]) ? this.#transitions(true) : undefined;
    if (shape.all) return { ...reacts, type: "parallel", states, onDone };
    const firsts = shape.of.flatMap((inner, i) => (inner === "history" ? [] : [`k${i}`]));
    const first = this.#choose(firsts.length === 0 ? ["k0"] : firsts);
    const initial = some ? first : { target: first, actions: this.#actions() };
    return { ...reacts, initial, states, onDone };
  }

  #transitions(costs: boolean): object[] {
    return Array.from({ length: this.#choose([1, 1, 1, 2, 0]) }, () => {
      const guard = this.#choose<unknown>([
        undefined,
        undefined,
        undefined,
        undefined,
        "odd",
        not("odd"),
        { type: "atLeast", params: { n: 3 } },
        { type: "atLeast", params: ({ context }: Args) => ({ n: context.fuel }) },
        stateIn(`#${this.#choose(this.#ids)}`),
        or(["odd", stateIn(`#${this.#choose(this.#ids)}`)] as never),
        ({ event }: Args) => event.type !== "B",
      ]);
      const actions = this.#actions();
      return {
        target: this.#choose([undefined, this.#target(), this.#target(), this.#target()]),
        reenter: this.#choose([false, false, true]),
        ...(costs
          ? {
              guard: guard === undefined ? "fueled" : and(["fueled", guard] as never),
              actions: [burn, ...actions],
            }
          : { guard, actions }),
      };
    });
  }

  #target(): string {
    return `#${this.#choose(this.#ids)}`;
  }

  #actions(): unknown[] {
    const names = ["add", "tell", "later", "named", "never", "maybe", "oops"];
    return Array.from({ length: this.#choose([0, 0, 0, 1, 2]) }, () =>
      this.#choose<unknown>([
        ...names,
        ACTIONS[this.#choose(names)],
        { type: "twice", params: { by: 1 } },
        { type: "twice", params: ({ context }: Args) => ({ by: context.fuel }) },
      ]),
    );
  }
}

/** Shown as its configuration: all that a machine refers to would fill a screen a thousand times. */
interface Given {
  readonly machine: AnyStateMachine;
  readonly [fc.toStringMethod]: () => string;
}

/** Undefined where XState makes no machine of it. */
export const randomMachine: fc.Arbitrary<Given | undefined> = fc
  .tuple(root, fc.infiniteStream(fc.nat()))
  .map(([shape, choices]) => {
    const choose: Choose = (of) => of[choices.next().value! % of.length]!;
    try {
      const machine: AnyStateMachine = new MachineWriter(choose).write(shape);
      return { machine, [fc.toStringMethod]: () => shown(machine.config) };
    } catch {
      return undefined;
    }
  });
