/**
 * Runs named children and keeps them running.
 *
 *                    ┌────────────── died ◀──────────────┐
 *                    ▼                                   │
 *     starting ─▶ waiting ─▶ starting ─▶ running ────────┘
 *         │          │                      │
 *         │          └─▶ given up           └─▶ draining ─▶ drained   (scope closes)
 *         └─▶ failed: `startAll` fails
 *
 * S1. The first start must succeed; later ones may fail and count as restarts.
 * S2. Closing the scope drains the groups in the reverse order of their start, the children of a
 *     group side by side; nothing is restarted from then on, and nothing is left when it is closed.
 * S3. A child that used up its restarts ends `failure`; the others go on until the scope closes.
 */
import { Clock, Deferred, Effect, Exit, Fiber, Scope } from "effect";
import type { ChildSpec, LivingChild } from "./child-spec.ts";
import { ChildGaveUp } from "./errors.ts";
import { type ProcessExit, describeExit } from "./os-process.ts";
import { RestartBudget, defaultRestartPolicy } from "./restart-budget.ts";

export type SupervisorEvent = { readonly child: string } & (
  | { readonly type: "started"; readonly pid: number; readonly restarts: number }
  | { readonly type: "died"; readonly pid: number; readonly exit: ProcessExit }
  | { readonly type: "restarting"; readonly restarts: number; readonly delayMs: number }
  | { readonly type: "start-failed"; readonly message: string }
  | { readonly type: "gave-up"; readonly error: ChildGaveUp }
  | { readonly type: "draining" }
  | { readonly type: "drained" }
);

export interface SupervisorOptions {
  /** Called for each event. Default: `logEvent`. */
  readonly onEvent?: ((event: SupervisorEvent) => Effect.Effect<void>) | undefined;
}

/** A child through all its lives. */
export interface Supervised<Ready> {
  readonly name: string;
  /** The life that is ready now; undefined while it is being restarted or after it was drained. */
  readonly life: () => LivingChild<Ready> | undefined;
  readonly restarts: () => number;
}

export interface Supervisor {
  /** Starts a group side by side; returns when all are ready. */
  readonly startAll: <Ready, E extends Error>(
    specs: ReadonlyArray<ChildSpec<Ready, E>>,
  ) => Effect.Effect<ReadonlyArray<Supervised<Ready>>, E>;
  /** Starts one child; returns when it is ready. */
  readonly start: <Ready, E extends Error>(
    spec: ChildSpec<Ready, E>,
  ) => Effect.Effect<Supervised<Ready>, E>;
  /** Fails when a child was given up; until then it waits. */
  readonly failure: Effect.Effect<never, ChildGaveUp>;
  /** All children in the order of their start. */
  readonly children: () => ReadonlyArray<Supervised<unknown>>;
}

/** Writes an event to the log. */
export const logEvent = (event: SupervisorEvent): Effect.Effect<void> => {
  const { child, type } = event;
  switch (event.type) {
    case "died":
      return Effect.logWarning(`${child} died: ${describeExit(event.exit)}`);
    case "start-failed":
      return Effect.logWarning(`${child} did not start again: ${event.message}`);
    case "gave-up":
      return Effect.logError(event.error.message);
    case "restarting":
      return Effect.logInfo(`restarting ${child} in ${event.delayMs} ms`);
    case "started":
      return Effect.logInfo(`${child} is ready (pid ${event.pid})`);
    default:
      return Effect.logDebug(`${child} ${type}`);
  }
};

class Child<Ready, E extends Error> implements Supervised<Ready> {
  readonly #spec: ChildSpec<Ready, E>;
  readonly #emit: (event: SupervisorEvent) => Effect.Effect<void>;
  readonly #gaveUp: Deferred.Deferred<never, ChildGaveUp>;
  #life: LivingChild<Ready> | undefined;
  #lastReady: Ready | undefined;
  #restarts = 0;
  #scope: Scope.Closeable | undefined;
  #keeper: Fiber.Fiber<void> | undefined;

  constructor(
    spec: ChildSpec<Ready, E>,
    emit: (event: SupervisorEvent) => Effect.Effect<void>,
    gaveUp: Deferred.Deferred<never, ChildGaveUp>,
  ) {
    this.#spec = spec;
    this.#emit = emit;
    this.#gaveUp = gaveUp;
  }

  get name(): string {
    return this.#spec.name;
  }
  readonly life = (): LivingChild<Ready> | undefined => this.#life;
  readonly restarts = (): number => this.#restarts;

  /** Starts the first life and keeps the child alive from then on. */
  readonly first: Effect.Effect<void, E> = Effect.suspend(() =>
    this.#begin.pipe(
      Effect.flatMap((life) => Effect.forkDetach(this.#keep(life))),
      Effect.map((keeper) => {
        this.#keeper = keeper;
      }),
      // Between a life that is ready and its keeper nothing may come.
      Effect.uninterruptible,
    ),
  );

  /** Ends the child for good. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#emit({ type: "draining", child: this.name });
    if (this.#keeper !== undefined) yield* Fiber.interrupt(this.#keeper);
    yield* this.#end;
    yield* this.#emit({ type: "drained", child: this.name });
  });

  readonly #begin: Effect.Effect<LivingChild<Ready>, E> = Effect.gen({ self: this }, function* () {
    const scope = yield* Scope.make();
    this.#scope = scope;
    const life = yield* this.#spec.start(this.#lastReady).pipe(
      Scope.provide(scope),
      Effect.interruptible,
      Effect.onError(() => this.#end),
    );
    this.#life = life;
    this.#lastReady = life.ready;
    const { pid } = life;
    yield* this.#emit({ type: "started", child: this.name, pid, restarts: this.#restarts });
    return life;
  });

  readonly #end: Effect.Effect<void> = Effect.suspend(() => {
    const scope = this.#scope;
    this.#scope = undefined;
    this.#life = undefined;
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void);
  });

  readonly #keep = Effect.fnUntraced(
    { self: this },
    function* (this: Child<Ready, E>, first: LivingChild<Ready>) {
      const child = this.name;
      const policy = { ...defaultRestartPolicy, ...this.#spec.restart };
      const budget = new RestartBudget(policy);
      let reason = "";
      let life: LivingChild<Ready> | undefined = first;
      for (;;) {
        if (life !== undefined) {
          const exit: ProcessExit = yield* life.exited;
          reason = describeExit(exit);
          yield* this.#end;
          yield* this.#emit({ type: "died", child, pid: life.pid, exit });
        }
        const delayMs = budget.take(yield* Clock.currentTimeMillis);
        if (delayMs === undefined) {
          const error = new ChildGaveUp({
            child,
            restarts: policy.restartsMax,
            windowMs: policy.windowMs,
            lastReason: reason,
          });
          yield* this.#emit({ type: "gave-up", child, error });
          yield* Deferred.fail(this.#gaveUp, error);
          return;
        }
        this.#restarts += 1;
        yield* this.#emit({ type: "restarting", child, restarts: this.#restarts, delayMs });
        yield* Effect.sleep(delayMs);
        const started: Effect.Effect<LivingChild<Ready>, E> = this.#begin;
        const result = yield* Effect.result(started);
        life = result._tag === "Success" ? result.success : undefined;
        if (result._tag === "Failure") {
          reason = result.failure.message;
          yield* this.#emit({ type: "start-failed", child, message: reason });
        }
      }
    },
  );
}

/** A supervisor whose children live until the scope closes. */
export const makeSupervisor = Effect.fnUntraced(function* (
  options: SupervisorOptions = {},
): Effect.fn.Return<Supervisor, never, Scope.Scope> {
  const scope = yield* Effect.scope;
  const emit = options.onEvent ?? logEvent;
  const gaveUp = yield* Deferred.make<never, ChildGaveUp>();
  const all: Supervised<unknown>[] = [];

  const startAll = Effect.fnUntraced(function* <Ready, E extends Error>(
    specs: ReadonlyArray<ChildSpec<Ready, E>>,
  ): Effect.fn.Return<ReadonlyArray<Supervised<Ready>>, E> {
    const group = specs.map((spec) => new Child(spec, emit, gaveUp));
    all.push(...group);
    // Registered before the start, so that an interrupted start is drained too.
    yield* Scope.addFinalizer(
      scope,
      Effect.forEach(group, (child) => child.drain, { concurrency: "unbounded", discard: true }),
    );
    yield* Effect.forEach(group, (child) => child.first, {
      concurrency: "unbounded",
      discard: true,
    });
    return group;
  });

  return {
    startAll,
    start: (spec) => Effect.map(startAll([spec]), (group) => group[0]!),
    failure: Deferred.await(gaveUp),
    children: () => all,
  };
});

/**
 * Runs groups of children, each started when the one before is ready, until this is interrupted
 * (they are drained) or a child is given up (they are drained, and this fails).
 */
export const runSupervisor = <Ready, E extends Error>(
  groups: ReadonlyArray<ReadonlyArray<ChildSpec<Ready, E>>>,
  options: SupervisorOptions = {},
): Effect.Effect<never, E | ChildGaveUp> =>
  Effect.scoped(
    Effect.gen(function* () {
      const supervisor = yield* makeSupervisor(options);
      for (const group of groups) yield* supervisor.startAll(group);
      return yield* supervisor.failure;
    }),
  );
