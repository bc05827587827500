/** What the supervisor must know of a child: how to start one life of it, and how often. */
import type { Effect, Scope } from "effect";
import type { ProcessExit } from "./os-process.ts";
import type { RestartPolicy } from "./restart-budget.ts";

/** One life of a child, which is ready. */
export interface LivingChild<Ready> {
  readonly pid: number;
  /** What it said about itself when it was ready: its port, for instance. */
  readonly ready: Ready;
  readonly exited: Effect.Effect<ProcessExit>;
}

export interface ChildSpec<Ready, E> {
  /** Unique within a supervisor. */
  readonly name: string;
  /**
   * Starts one life and returns when it is ready. It lives until the scope closes, which drains it.
   * A later life gets what the one before said, so that it can take the same port.
   */
  readonly start: (
    previous: Ready | undefined,
  ) => Effect.Effect<LivingChild<Ready>, E, Scope.Scope>;
  readonly restart?: Partial<RestartPolicy> | undefined;
}
