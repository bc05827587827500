/**
 * Runs a case through the engine, in memory and on virtual time.
 *
 * C1. A case that passes has passed four times: as written, with each event alone in its record batch,
 *     with as many together as its steps allow, and with a restart at every step. The last three must
 *     publish what the first did.
 * C2. Updates that no expectation mentions are a failure if some expectation mentions updates. Dead
 *     letters that no expectation mentions are always one.
 * C3. Books that do not balance, and restarts that change a digest, fail every case: the digest of that
 *     moment, or that at the end, which is the one that a rebuild from the log must find again.
 */
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { at } from "../../projections/definition/reading.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { allTogether, logOf, oneByOne, restartedThroughout } from "./case-log.ts";
import type { LogEntry } from "./case-log.ts";
import { topicOfLane } from "./case-plan.ts";
import type { FindProjection } from "./case-plan.ts";
import { checkCase } from "./check-case.ts";
import type { Case, CheckedCase, CheckedExpectation, LineOf, Row } from "./case.ts";
import { diffRow, diffRuns, diffSequence, diffSet, renderDiff } from "./diff-case.ts";
import type { Diff, DiffRow, PaintDiff } from "./diff-case.ts";
import { booksRow } from "./output.ts";
import { ProjectionRun } from "./projection-run.ts";
import { showTime } from "./time.ts";

export interface CaseFailure {
  /** Where in the case: "steps[3]". */
  readonly path: string;
  readonly line: number | undefined;
  readonly message: string;
  readonly rows: readonly DiffRow[];
  /** What the two sides of the rows are. */
  readonly headers: readonly [string, string];
}

export interface CaseResult {
  readonly name: string;
  readonly passed: boolean;
  readonly failures: readonly CaseFailure[];
  readonly events: number;
  readonly updates: number;
  readonly deadLetters: number;
  /** How often the case was run. */
  readonly runs: number;
}

export interface RunOptions {
  /** Run it as written and not in the other ways. */
  readonly once?: boolean;
  /** Projections that the case may name. */
  readonly find?: FindProjection;
  readonly lineOf?: LineOf;
  /** More steps may follow: what was not expected yet is no failure. */
  readonly unfinished?: boolean;
}

const SIDES = ["expected", "got"] as const;
const nowhere: LineOf = () => undefined;

/** Throws a CaseError for a case that is not right in itself. */
export const runCase = (given: Case, options: RunOptions = {}): CaseResult =>
  runChecked(checkCase(given, options.find ?? (() => undefined), options.lineOf), options);

/** The same for data of unknown shape. */
export const runContent = (given: unknown, options: RunOptions = {}): CaseResult =>
  runCase(given as Case, options);

const runChecked = (checked: CheckedCase, options: RunOptions): CaseResult => {
  const log = logOf(checked);
  const lineOf = options.lineOf ?? nowhere;
  const judge = new Judge(checked, lineOf);
  judge.play(log);
  if (options.unfinished !== true) judge.end(checked.steps.at(-1)?.path ?? "steps");
  const variants = options.once === true || judge.failures.length > 0 ? [] : VARIANTS;
  for (const variant of variants) {
    const run = new ProjectionRun(checked.plan);
    for (const entry of variant.of(log)) step(run, entry);
    judge.compare(run, variant);
  }
  return {
    name: checked.name,
    passed: judge.failures.length === 0,
    failures: judge.failures,
    events: judge.run.books.events,
    updates: judge.run.updates.length,
    deadLetters: judge.run.deadLetters.length,
    runs: 1 + variants.length,
  };
};

interface Variant {
  readonly name: string;
  /** Whether its record batches are other ones. */
  readonly regroups: boolean;
  readonly of: (log: readonly LogEntry[]) => readonly LogEntry[];
}

const VARIANTS: readonly Variant[] = [
  { name: "each event alone in its record batch", regroups: true, of: oneByOne },
  { name: "as many events as possible in one record batch", regroups: true, of: allTogether },
  { name: "a restart at every step", regroups: false, of: restartedThroughout },
];

const step = (run: ProjectionRun, entry: LogEntry): void => {
  if (entry.entry === "batch") run.read(entry);
  else if (entry.entry === "tick") run.tick(entry.lane, entry.time);
  else if (entry.entry === "restart") run.restart();
};

class Judge {
  readonly run: ProjectionRun;
  readonly failures: CaseFailure[] = [];
  readonly #plan: ProjectionPlan;
  readonly #topics: CheckedCase["topics"];
  readonly #lineOf: LineOf;
  /** How many updates and dead letters expectations have seen. */
  #updatesSeen = 0;
  #lettersSeen = 0;
  #updatesMentioned = false;

  constructor({ plan, topics }: CheckedCase, lineOf: LineOf) {
    this.#plan = plan;
    this.#topics = topics;
    this.#lineOf = lineOf;
    this.run = new ProjectionRun(plan);
  }

  play(log: readonly LogEntry[]): void {
    for (const entry of log) {
      step(this.run, entry);
      if (entry.entry === "expect") this.#expect(entry.expectation, entry.path);
      if (entry.entry === "reached") this.#reached(entry.path, entry.lane, entry.watermark);
      for (const breach of this.run.breaches.splice(0)) this.#fail(entry.path, breach);
    }
  }

  #fail(path: string, message: string, rows: readonly DiffRow[] = [], headers = SIDES): void {
    this.failures.push({ path, line: this.#lineOf(path), message, rows, headers });
  }

  #unless(diff: Diff, path: string, message: string): void {
    if (!diff.same) this.#fail(path, message, diff.rows);
  }

  #reached(path: string, lane: number, wanted: number): void {
    const watermark = this.run.laneWatermark(lane);
    if (watermark === wanted) return;
    const { definition, firstLane } = topicOfLane(this.#topics, lane);
    const skew = definition.maxFutureSkewMs;
    const of = this.#topics.length === 1 ? "" : ` of ${definition.name}`;
    const partition = `${lane - firstLane}${of}`;
    this.#fail(
      path,
      watermark !== undefined && watermark > wanted
        ? `the watermark of partition ${partition} stands at ${showTime(watermark)} and never goes ` +
            `back to ${showTime(wanted)}`
        : `the clock is too far behind: an event that moves the watermark to ${showTime(wanted)} is more ` +
            `than maxFutureSkew, ${skew} ms, in the future. Set "clock" or "wait"`,
    );
  }

  #expect(expectation: CheckedExpectation, path: string): void {
    const { updates, deadLetters, results, books, watermark } = expectation;
    const { run } = this;
    const part = (name: keyof CheckedExpectation) => this.#partOf(path, name);
    if (updates !== undefined) {
      const fresh = run.updates.slice(this.#updatesSeen);
      this.#updatesSeen = run.updates.length;
      this.#updatesMentioned = true;
      this.#unless(diffSequence(updates, fresh), part("updates"), "other updates than expected");
    }
    if (deadLetters !== undefined) {
      const fresh = run.deadLetters.slice(this.#lettersSeen);
      this.#lettersSeen = run.deadLetters.length;
      this.#unless(
        diffSequence(deadLetters, fresh),
        part("deadLetters"),
        "other dead letters than expected",
      );
    }
    if (results !== undefined) {
      this.#unless(
        diffSet(results, currentResults(run.updates)),
        part("results"),
        "other results than expected",
      );
    }
    if (books !== undefined) {
      this.#unless(diffRow(books, booksRow(run.books)), part("books"), "other books than expected");
    }
    if (watermark !== undefined) {
      const row: Row = new Map([["watermark", run.watermark ?? null]]);
      this.#unless(diffRow(watermark, row), part("watermark"), "another watermark than expected");
    }
  }

  /** The part of an expectation, where it has a line of its own. */
  #partOf(path: string, name: string): string {
    const part = at(path === "expect" ? path : at(path, "expect"), name);
    return this.#lineOf(part) === this.#lineOf(path) ? path : part;
  }

  end(path: string): void {
    const { run } = this;
    if (this.#updatesMentioned) {
      const left = diffSequence([], run.updates.slice(this.#updatesSeen));
      this.#unless(left, path, "updates that no expectation mentions");
    }
    const letters = diffSequence([], run.deadLetters.slice(this.#lettersSeen));
    this.#unless(letters, path, "dead letters that no expectation mentions");
  }

  /** A variant's output must be that of the case as written. */
  compare(other: ProjectionRun, variant: Variant): void {
    const path = "steps";
    const headers = ["as written", "then"] as const;
    const same = (diff: Diff, what: string) => {
      if (diff.same) return;
      this.#fail(path, `other ${what} with ${variant.name}`, diff.rows, headers as never);
    };
    for (const breach of other.breaches) this.#fail(path, `${breach}, with ${variant.name}`);
    const regrouped = variant.regroups;
    const comparable = (run: ProjectionRun) =>
      regrouped ? comparableUpdates(this.#plan, run, this.run.inTime) : run.updates;
    same(diffRuns(path, comparable(this.run), comparable(other)), "updates");
    if (regrouped) {
      // States of ordered projections are published as of the watermark, which batches move.
      const ordered = this.#plan.kind !== "window";
      const rows = (run: ProjectionRun) =>
        inOrder(currentResults(run.updates))
          .filter((row) => !ordered || isClosed(row))
          .map((row) => without(row, ["kind", "revision", "watermark"]));
      same(diffRuns(path, rows(this.run), rows(other)), "results");
    }
    if (!regrouped || this.run.orphans + other.orphans === 0) {
      same(diffRuns(path, this.run.deadLetters, other.deadLetters), "dead letters");
    }
    const books = (run: ProjectionRun) => [booksRow(run.books)];
    same(diffRuns(path, books(this.run), books(other)), "books");
    // The relay of a re-keyed projection says in a record batch that it has been restarted.
    if (regrouped || this.#plan.rekeyed) return;
    const digests = (run: ProjectionRun) =>
      run.digests.map((digest) => new Map([["digest", digest]]));
    same(diffRuns(path, digests(this.run), digests(other)), "digests of the state");
  }
}

const without = (row: Row, fields: readonly string[]): Row =>
  new Map([...row].filter(([field]) => !fields.includes(field)));

const nameOf = (row: Row): string => `${String(row.get("key"))}@${String(row.get("start"))}`;

const inOrder = (rows: readonly Row[]): readonly Row[] =>
  [...rows].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

/**
 * Which updates do not depend on how events were batched: all of them, unless some are published
 * batch by batch, or when the commits of partitions meet.
 */
const comparableUpdates = (
  plan: ProjectionPlan,
  run: ProjectionRun,
  inTime: ReadonlySet<string>,
): readonly Row[] => {
  const spansPartitions = plan.rekeyed && rekeyOf(plan).upstreams > 1;
  if (plan.merged || spansPartitions) {
    const finals = run.updates.filter(
      (row) => row.get("kind") === "final" && (spansPartitions || inTime.has(nameOf(row))),
    );
    return inOrder(finals).map((row) => without(row, ["revision", "watermark", "partition"]));
  }
  const emit = "emit" in plan.definition ? plan.definition.emit : undefined;
  if (emit === undefined || emit.mode === "final") {
    // The events that were not passed on move its time with the next record batch.
    return plan.rekeyed ? run.updates.map((row) => without(row, ["watermark"])) : run.updates;
  }
  return run.updates
    .filter(isClosed)
    .map((row) => without(row, plan.rekeyed ? ["revision", "watermark"] : ["revision"]));
};

const isClosed = (row: Row): boolean =>
  row.get("kind") === "final" || row.get("kind") === "correction";

/** What a reader of the results has in the end, by key and window. */
const currentResults = (updates: readonly Row[]): readonly Row[] => {
  const rows = new Map<string, Row>();
  for (const update of updates) {
    const name = [update.get("end"), update.get("ordinal"), nameOf(update)].join(" ");
    if (update.get("kind") === "retraction") rows.delete(name);
    else rows.set(name, update);
  }
  return [...rows.values()];
};

const plain: PaintDiff = (_, text) => text;

/** Failures of one case that are told: later ones mostly follow from the first. */
const FAILURES_SHOWN_MAX = 10;

/** What is wrong, as text for people. */
export const renderFailures = (
  result: Pick<CaseResult, "failures">,
  options: { readonly lineOf?: LineOf | undefined; readonly paint?: PaintDiff } = {},
): string => {
  const { lineOf = nowhere, paint = plain } = options;
  const beyond = result.failures.length - FAILURES_SHOWN_MAX;
  const told = result.failures
    .slice(0, FAILURES_SHOWN_MAX)
    .map(({ path, line, message, rows, headers }) => {
      const place = line === undefined ? path : `line ${line}, ${path}`;
      const diff = rows.length === 0 ? [] : renderDiff({ rows }, { lineOf, paint, headers });
      return [`${place}: ${message}`, ...diff.map((text) => `  ${text}`), ""].join("\n");
    })
    .join("");
  return beyond > 0 ? `${told}... ${beyond} more failures, which may follow from these\n` : told;
};
