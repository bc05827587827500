/** Owns the merging task of one version of a projection in this worker. */
import { Effect, Exit, Fiber, Scope } from "effect";
import type { MergeInput } from "../task/merge-core.ts";
import { MergeActor } from "../task/merge-actor.ts";
import type { MergeTask } from "../task/merge-actor.ts";
import type { EngineSettings } from "../task/settings.ts";
import { TaskActor } from "../task/task-actor.ts";
import type { TaskSpec } from "../task/task-actor.ts";
import type { Ports } from "./partition-owner.ts";

export class MergeOwner {
  readonly task: MergeTask;
  readonly #actor: MergeActor;
  readonly #scope: Scope.Closeable;
  #fiber: Fiber.Fiber<void> | undefined;

  constructor(spec: TaskSpec<MergeInput>, ports: Ports, settings: EngineSettings) {
    this.task = new TaskActor(spec, ports.results, settings);
    this.#actor = new MergeActor({ ...ports, settings }, this.task);
    this.#scope = Scope.makeUnsafe();
  }

  /** Takes the task over and starts to read for it. */
  readonly start: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.task.takeOver;
    if (this.task.life.state !== "restoring") return;
    yield* this.task.startCommits(this.#scope);
    this.#fiber = yield* Effect.forkIn(this.#actor.run, this.#scope);
  });

  /** Waits until the task has included a RESULTS sequence, or is over. */
  reached(sequence: number): Effect.Effect<void> {
    return this.#actor.reached(sequence);
  }

  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    if (this.#fiber !== undefined) yield* Fiber.interrupt(this.#fiber);
    yield* this.#actor.drain;
    yield* this.abandon;
  });

  /** Stops as a crash would. */
  readonly abandon: Effect.Effect<void> = Effect.suspend(() => Scope.close(this.#scope, Exit.void));
}
