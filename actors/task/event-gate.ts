/**
 * What a task does with an event before its meaning: refuses what the intake refused, selects what the
 * projection reads, and keeps the books. The same for every kind of projection.
 *
 * K1. Every event of a batch goes into exactly one account (E7): the gate counts those that it refuses
 *     or dead-letters, the core counts `counted` and `filtered`.
 */
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Window } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { GROUP_KEY_BYTES_MAX } from "../../projections/definition/weight.ts";
import { compileExpression } from "../expression/evaluator.ts";
import type { Evaluator } from "../expression/evaluator.ts";
import { emptyVector } from "../expression/vector.ts";
import type { Vector } from "../expression/vector.ts";
import { CONFLICT, DUPLICATE, FUTURE } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { emptyBooks } from "./books-keeper.ts";
import { deadLetterOf } from "./dead-letter.ts";
import type { DeadLetterTask, DeadLetterVerdict } from "./dead-letter.ts";
import type { DraftWriter } from "./draft-writer.ts";

export interface TaskOfPlan {
  readonly plan: ProjectionPlan;
  readonly version: number;
  readonly partition: number;
}

/** What the gate reads of a plan: a whole one, or a route of a re-keyed one. */
export interface GatedTask extends DeadLetterTask {
  readonly plan: DeadLetterTask["plan"] &
    Pick<ProjectionPlan, "reads" | "columns" | "where" | "key">;
}

export class EventGate {
  books: Books = emptyBooks();
  /** The key of each row of the batch at hand. */
  key: Vector = emptyVector("string");
  readonly #task: GatedTask;
  readonly #draft: DraftWriter;
  readonly #reads: readonly boolean[];
  readonly #whereOf: Evaluator | undefined;
  readonly #keyOf: Evaluator;
  #where: Vector | undefined;
  #types = new Int32Array(0);

  constructor(task: GatedTask, draft: DraftWriter) {
    const { plan } = task;
    this.#task = task;
    this.#draft = draft;
    this.#reads = plan.reads;
    this.#whereOf = plan.where === undefined ? undefined : compileExpression(plan.where, plan);
    this.#keyOf = compileExpression(plan.key, plan);
  }

  begin(batch: EventBatch): void {
    this.#types = batch.typeIndexes as Int32Array<ArrayBuffer>;
    this.#where = this.#whereOf?.evaluate(batch);
    this.key = this.#keyOf.evaluate(batch);
  }

  /** Whether the projection reads an accepted event; otherwise it is filtered out. */
  selects(row: number): boolean {
    const where = this.#where;
    return (
      this.#reads[this.#types[row]!] === true &&
      this.key.valid[row] !== 0 &&
      (where === undefined || (where.valid[row] !== 0 && where.values[row] !== 0))
    );
  }

  /** An event that the intake did not accept. */
  refuse(batch: EventBatch, row: number): void {
    const verdict = batch.verdicts[row]!;
    const { books } = this;
    if (verdict === DUPLICATE || verdict === CONFLICT) {
      books.duplicate++;
      if (verdict === CONFLICT) books.conflict++;
    } else if (verdict === FUTURE) {
      books.future++;
      const skew = this.#task.plan.topic.definition.maxFutureSkewMs;
      this.#deadLetter(batch, row, {
        reason: DeadLetter_Reason.REASON_FUTURE,
        error: `event_time is more than ${skew} ms after ingest_time`,
      });
    } else {
      books.invalid++;
      this.#deadLetter(batch, row, {
        reason: DeadLetter_Reason.REASON_INVALID,
        error: batch.errors.get(row) ?? "does not match its schema",
      });
    }
  }

  late(batch: EventBatch, row: number, window: Window, lateness: number, error: string): void {
    this.books.late++;
    const reason = DeadLetter_Reason.REASON_LATE;
    this.#deadLetter(batch, row, { reason, window, lateness, error });
  }

  /** Refuses an event whose key is too long for a result, and tells whether it did. */
  refusesKey(batch: EventBatch, row: number, keyBytes: number): boolean {
    if (keyBytes <= GROUP_KEY_BYTES_MAX) return false;
    const limit = `the limit is ${GROUP_KEY_BYTES_MAX}`;
    this.poison(batch, row, `the key of its result is ${keyBytes} bytes long; ${limit}`);
    return true;
  }

  /** The projection's own code, or a limit, refused the event. */
  poison(batch: EventBatch, row: number, error: string): void {
    this.books.poison++;
    this.#deadLetter(batch, row, { reason: DeadLetter_Reason.REASON_POISON, error });
  }

  #deadLetter(batch: EventBatch, row: number, verdict: DeadLetterVerdict): void {
    this.#draft.deadLetter(deadLetterOf(this.#task, batch, row, verdict));
  }
}
