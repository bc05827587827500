/**
 * Writes one task's commits. Owns the task's subject in RESULTS: epoch, commit number and the
 * sequence that the next append expects.
 *
 * K1. At most one commit is in flight. Its bytes and its expected sequence stay the same however
 *     often the log makes it retry, so it happens once (the port reads back, R2).
 * K2. Numbers are contiguous; input position, ingest clock and watermark never go back.
 * K3. `takeOver` appends a marker with epoch + 1 and everything else unchanged: from then on every
 *     other owner is fenced.
 * K4. A commit of another definition is never continued.
 */
import { projectionOfTasks } from "../../projections/definition/table-stage.ts";
import { Effect, Schema } from "effect";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import { Fenced } from "../ports/result-log.ts";
import type { ResultLog } from "../ports/result-log.ts";
import type { Draft, Progress } from "../task/task-core.ts";
import { encodeParts } from "./marker.ts";
import type { Marker } from "./marker.ts";
import { lastCommit } from "./parts.ts";
import { untilAvailable } from "./until-available.ts";

/** What the log holds was made by another definition. The task is quarantined. */
export class DefinitionChanged extends Schema.TaggedError<DefinitionChanged>()(
  "DefinitionChanged",
  {
    projection: Schema.String,
    version: Schema.Number,
    subject: Schema.String,
    /** The projection that is its table, of whose definition its own is a part. */
    table: Schema.UndefinedOr(Schema.String),
  },
) {
  override get message(): string {
    const table = this.table === undefined ? "" : `, or of ${this.table}, its table,`;
    const projection = projectionOfTasks(this.projection);
    const whose =
      projection === this.projection ? projection : `that is the table of ${projection}`;
    return (
      `the definition of projection ${whose}${table} differs from the one that made the results ` +
      `of version ${this.version}; it goes on only as a new version: run ` +
      `\`tidemark replay ${projection} --promote\`, or restore the old definition`
    );
  }
}

/** A programmer's error: the commit would break what the log promises. */
export class InvariantBroken extends Error {
  override readonly name = "InvariantBroken";
}

const invariant = (holds: boolean, what: string): void => {
  if (!holds) throw new InvariantBroken(what);
};

/** Two owners that start at once fence each other; the later one wins well before this. */
const TAKEOVERS_MAX = 20;

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  Buffer.compare(left, right) === 0;

/** A core may reuse what it hands out; a marker stays. */
const copyOf = (progress: Progress, digest: Uint8Array): Progress & { digest: Uint8Array } => ({
  inputSequence: progress.inputSequence,
  watermark: progress.watermark,
  idle: progress.idle,
  ingestTime: progress.ingestTime,
  books: { ...progress.books },
  retainFrom: progress.retainFrom,
  digest: Uint8Array.from(digest),
});

export class Committer {
  readonly subject: string;
  readonly #log: ResultLog["Service"];
  readonly #task: TaskId;
  readonly #definitionDigest: Uint8Array;
  readonly #table: string | undefined;
  #marker: Marker | undefined;
  #inFlight = false;

  /** `table`: of the projection that is its table, if it has one, the name. */
  constructor(
    log: ResultLog["Service"],
    task: TaskId,
    definitionDigest: Uint8Array,
    table?: string,
  ) {
    this.subject = commitSubject(task);
    this.#log = log;
    this.#task = task;
    this.#definitionDigest = definitionDigest;
    this.#table = table;
  }

  /** The last commit of this owner; undefined before the take-over. */
  get last(): Marker | undefined {
    return this.#marker;
  }

  /** The same, for those who know that the task was taken over. */
  get marker(): Marker {
    if (this.#marker === undefined) throw new InvariantBroken("K3: the task was not taken over");
    return this.#marker;
  }

  /** `fresh`: progress and digest of a core that has read nothing, for a task's first marker. */
  takeOver(
    fresh: Progress & { readonly digest: Uint8Array },
  ): Effect.Effect<Marker, Fenced | DefinitionChanged> {
    return this.#takeOverOnce(fresh).pipe(
      Effect.retry({ times: TAKEOVERS_MAX, while: (error) => error instanceof Fenced }),
    );
  }

  #takeOverOnce = Effect.fnUntraced(function* (
    this: Committer,
    fresh: Progress & { readonly digest: Uint8Array },
  ): Effect.fn.Return<Marker, Fenced | DefinitionChanged> {
    const { marker: last, sequence } = yield* untilAvailable(lastCommit(this.#log, this.subject));
    if (last !== undefined && !sameBytes(last.definitionDigest, this.#definitionDigest)) {
      const { projection, version } = this.#task;
      const { subject } = this;
      return yield* new DefinitionChanged({ projection, version, subject, table: this.#table });
    }
    return yield* this.#append(
      {
        ...(last ?? fresh),
        epoch: (last?.epoch ?? 0) + 1,
        number: (last?.number ?? 0) + 1,
        definitionDigest: this.#definitionDigest,
      },
      [],
      sequence,
    );
  });

  /** Durable when it returns. Fenced means that this owner must stop at once. */
  commit(draft: Draft, progress: Progress, digest: Uint8Array): Effect.Effect<Marker, Fenced> {
    return Effect.suspend(() => {
      const last = this.marker;
      invariant(!this.#inFlight, "K1: another commit is in flight");
      invariant(progress.inputSequence >= last.inputSequence, "K2: the position went back");
      invariant(progress.ingestTime >= last.ingestTime, "K2: the ingest clock went back");
      invariant(
        (progress.watermark ?? -Infinity) >= (last.watermark ?? -Infinity),
        "K2: the watermark went back",
      );
      this.#inFlight = true;
      return this.#append(
        {
          ...copyOf(progress, digest),
          epoch: last.epoch,
          number: last.number + 1,
          definitionDigest: this.#definitionDigest,
        },
        draft.fragments,
        last.sequence,
      ).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            this.#inFlight = false;
          }),
        ),
      );
    });
  }

  #append(
    marker: Omit<Marker, "sequence">,
    fragments: readonly Uint8Array[],
    expected: number,
  ): Effect.Effect<Marker, Fenced> {
    const parts = encodeParts(this.#task, marker, fragments);
    return untilAvailable(this.#log.append(this.subject, parts, expected)).pipe(
      Effect.map((sequence) => {
        invariant(sequence > expected, "K2: RESULTS went back");
        this.#marker = { ...marker, sequence };
        return this.#marker;
      }),
    );
  }
}
