/** Runs record batches through the real intake and cores, in memory, and decodes what comes out. */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Partial, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { Intake } from "../intake/intake.ts";
import { imbalance } from "../task/books-keeper.ts";
import { makeCore } from "../task/cores.ts";
import type { TaskCore } from "../task/task-core.ts";
import type { EventBatch } from "../intake/event-batch.ts";

export interface Output {
  readonly updates: Update[];
  readonly partials: Partial[];
  readonly deadLetters: DeadLetter[];
}

export class PartitionRun {
  intake: Intake;
  core: TaskCore<EventBatch>;
  readonly output: Output = { updates: [], partials: [], deadLetters: [] };
  readonly #plan: ProjectionPlan;
  readonly #fresh: () => TaskCore<EventBatch>;
  #sequence = 0;
  #events = 0;

  /** `make` makes the core of another kind than the plan's. */
  constructor(plan: ProjectionPlan, partition = 0, make: typeof makeCore = makeCore) {
    this.#plan = plan;
    this.#fresh = () => make(plan, 1, partition);
    this.intake = new Intake(plan.topic, plan.columns);
    this.core = this.#fresh();
  }

  /** Throws when the books do not balance after it, or do not hold every event that was read (E7). */
  read(batch: Uint8Array): this {
    const read = this.intake.read(++this.#sequence, batch);
    this.#events += read.count;
    this.core.apply(read);
    const { books } = this.core.progress();
    if (imbalance(books) !== 0 || books.events !== this.#events) {
      throw new Error(`the books hold ${JSON.stringify(books)} of ${this.#events} events`);
    }
    return this;
  }

  /** Decodes and keeps the draft. */
  take(): this {
    for (const fragment of this.core.take().fragments) {
      const commit = Commit.decode(fragment);
      this.output.updates.push(...commit.updates);
      this.output.partials.push(...commit.partials);
      this.output.deadLetters.push(...commit.deadLetters);
    }
    return this;
  }

  /** Goes on from snapshots in fresh objects, as after a restart. */
  restart(): this {
    const intake = this.intake.snapshot();
    const core = this.core.snapshot();
    this.intake = new Intake(this.#plan.topic, this.#plan.columns);
    this.intake.restore(intake);
    this.core = this.#fresh();
    this.core.restore(core);
    return this;
  }
}

export const digestHex = (core: { digest(): Uint8Array }): string =>
  Buffer.from(core.digest()).toString("hex");

/** `key [start, end) kind revision: values`, for readable expectations. */
export const describeUpdate = (update: Update): string => {
  const kind = ["?", "early", "final", "correction", "retraction"][update.kind];
  const values = update.values.map((value) => String(value.kind?.value ?? null));
  return `${update.key} [${update.windowStart}, ${update.windowEnd}) ${kind} ${update.revision}: ${values.join(" ")}`;
};
