/**
 * `tidemark audit`: the books of every projection and partition, against the events that the log
 * holds. It changes nothing, and may run beside a system at work.
 */
import { projectionOfTasks } from "../../../projections/definition/table-stage.ts";
import { Clock, Effect } from "effect";
import { readMarker } from "../../../actors/commit/marker.ts";
import type { LogGap, LogUnavailable } from "../../../actors/ports/event-log.ts";
import { Commit } from "../../../proto/gen/tidemark/v1/commit.ts";
import { RESULTS_STREAM, commitSubject, eventsStream } from "../../../proto/subjects.ts";
import { JS } from "../../nats/errors.ts";
import { storedMessage, streamInfo, type ApiFailure } from "../../nats/jetstream-api.ts";
import type { Link } from "../../nats/link.ts";
import {
  auditBooks,
  stretchOf,
  type Audit,
  type AuditedLog,
  type AuditInput,
  type Balance,
  type BooksKind,
} from "../books-audit.ts";
import { CliError, EXIT_FAILED } from "../cli-error.ts";
import { countLog, rangeOf } from "../log-count.ts";
import { sourceNames } from "../../../projections/definition/join-sources.ts";
import {
  definitionOf,
  shownProjection,
  survey,
  type SurveyPlan,
  type TaskSurvey,
} from "../survey.ts";
import type { Paint } from "../terminal/colour.ts";
import { count, counted } from "../terminal/format.ts";
import { Progress } from "../terminal/progress.ts";
import { renderTable, type Cell } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface AuditOptions {
  readonly plan: SurveyPlan;
  /** Undefined for all. */
  readonly projection: string | undefined;
  /** Does not read the log: the books are held against themselves. */
  readonly fast: boolean;
  readonly json: boolean;
}

/** The books of the first commit of a subject at or after `sequence` of RESULTS. */
const commitFrom = Effect.fnUntraced(function* (
  link: Link,
  subject: string,
  sequence: number,
): Effect.fn.Return<
  { readonly sequence: number; readonly balance: Balance } | undefined,
  ApiFailure
> {
  let from = sequence;
  for (;;) {
    const found = yield* storedMessage(link, RESULTS_STREAM, { seq: from, next_by_subj: subject });
    if (found === undefined) return undefined;
    const { partIndex, partCount } = Commit.decode(found.data);
    // Only the last part of a commit is a marker.
    if (partIndex === partCount - 1) {
      return { sequence: found.seq, balance: readMarker(found.seq, found.data) };
    }
    from = found.seq + 1;
  }
});

/** The earliest commit whose position is at least `position`: they rise along the subject. */
const findBase = Effect.fnUntraced(function* (
  link: Link,
  subject: string,
  position: number,
  { sequence: lastSequence }: TaskSurvey["marker"],
): Effect.fn.Return<Balance | undefined, ApiFailure> {
  let low = 1;
  let high = lastSequence;
  let best: Balance | undefined;
  while (low <= high) {
    const middle = low + Math.floor((high - low) / 2);
    const found = yield* commitFrom(link, subject, middle);
    if (found === undefined) high = middle - 1;
    else if (found.balance.inputSequence >= position) {
      best = found.balance;
      high = middle - 1;
    } else low = found.sequence + 1;
  }
  return best;
});

interface Placed {
  readonly topic: string | undefined;
  /** Of that topic. */
  readonly partition: number;
  readonly input: AuditInput;
}

/** How old a record batch is at least that compaction has deleted; undefined: the log is not compacted. */
const compactedAfterMs = (task: TaskSurvey, { topics, projections }: SurveyPlan) => {
  const read = topics.find(({ name }) => name === task.topic);
  if (read !== undefined) {
    return read.compacted === true ? Math.max(read.retentionMs, read.dedupeHorizonMs) : undefined;
  }
  const definition = definitionOf(projections, task.projection);
  const names: readonly (string | undefined)[] =
    definition === undefined ? [] : sourceNames(definition, projections);
  const sources = topics.filter(({ name }) => names.includes(name));
  if (!sources.some(({ compacted }) => compacted === true)) return undefined;
  return Math.max(...sources.map(({ retentionMs }) => retentionMs));
};

/** After the books were read: the log is then at least as far as they are, and as whole. */
const boundsOf = (
  link: Link,
  topic: string,
  partition: number,
  compactedAfter: number | undefined,
): Effect.Effect<AuditedLog | undefined, ApiFailure> =>
  Effect.gen(function* () {
    const stream = eventsStream(topic, partition);
    const { state } = yield* streamInfo(link, stream);
    const last = state.last_seq;
    if (compactedAfter === undefined || state.messages === last) {
      return { first: state.messages === 0 ? last + 1 : state.first_seq, last, compacted: false };
    }
    const now = yield* Clock.currentTimeMillis;
    const young = yield* storedMessage(link, stream, {
      next_by_subj: ">",
      start_time: new Date(now - compactedAfter).toISOString(),
    });
    return { first: young?.seq ?? last + 1, last, compacted: true };
  }).pipe(
    // A topic that was never provisioned.
    Effect.catchTag("ApiFailure", (failure) =>
      failure.code === JS.streamNotFound ? Effect.undefined : Effect.fail(failure),
    ),
  );

const booksKind = ({ kind, projection }: TaskSurvey, { projections }: SurveyPlan): BooksKind => {
  if (kind !== "window") return kind;
  return projections.find(({ name }) => name === projection)?.kind ?? kind;
};

const place = Effect.fnUntraced(function* (
  link: Link,
  task: TaskSurvey,
  plan: SurveyPlan,
): Effect.fn.Return<Placed, ApiFailure> {
  const { projection, version, partition, marker, topic, inputPartition } = task;
  const whole =
    topic === undefined
      ? undefined
      : yield* boundsOf(link, topic, inputPartition, compactedAfterMs(task, plan));
  // Nothing that was not read is ever compacted.
  const log = whole?.compacted
    ? { ...whole, first: Math.min(whole.first, marker.inputSequence + 1) }
    : whole;
  const cut = log !== undefined && log.first > 1 && log.first <= marker.inputSequence + 1;
  const subject = commitSubject(task);
  const base = cut ? yield* findBase(link, subject, log.first - 1, marker) : undefined;
  const kind = booksKind(task, plan);
  const input = { kind, projection, version, partition, committed: marker, log, base };
  return { topic, partition: inputPartition, input };
});

const auditPartition = Effect.fnUntraced(function* (
  link: Link,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  inputs: readonly AuditInput[],
  onRead: (records: number) => void,
): Effect.fn.Return<readonly Audit[], LogUnavailable | LogGap> {
  const stretches = inputs.flatMap((input) => stretchOf(input).stretch ?? []);
  return yield* countLog(link, { topic, partition, stretches, onRead }).pipe(
    Effect.map((events) => inputs.map((input) => auditBooks(input, events))),
    Effect.catchTag("LogGap", (gap) =>
      inputs.every(({ log }) => log?.compacted === true)
        ? Effect.succeed(
            inputs.map((input) => auditBooks({ ...input, hole: gap.expected }, undefined)),
          )
        : Effect.fail(gap),
    ),
  );
});

/** Undefined: a topic that is not configured here. */
const byPartition = (placed: readonly Placed[]) => {
  const groups = new Map<string, Placed[]>();
  for (const one of placed) {
    const name = JSON.stringify([one.topic, one.partition]);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups.values()];
};

const byPlace = (a: Audit, b: Audit): number =>
  a.projection.localeCompare(b.projection) ||
  a.version - b.version ||
  a.kind.localeCompare(b.kind) ||
  a.partition - b.partition;

export const auditAll = Effect.fnUntraced(function* (
  link: Link,
  { plan, projection, fast }: Omit<AuditOptions, "json">,
  err: Terminal["err"],
) {
  const seen = yield* survey(link, plan);
  const readers = seen.tasks.filter(
    (task) =>
      task.kind !== "merge" &&
      task.active &&
      [undefined, task.projection, projectionOfTasks(task.projection)].includes(projection),
  );
  if (readers.length === 0 && projection !== undefined) {
    const names = [...new Set(seen.tasks.map((task) => task.projection))].join(", ");
    const hint = names === "" ? "Nothing has been committed yet." : `There are: ${names}.`;
    return yield* Effect.fail(new CliError(`there are no books of ${projection}`, { hint }));
  }
  const placed: Placed[] = [];
  for (const task of readers) placed.push(yield* place(link, task, plan));
  if (fast) return placed.map(({ input }) => auditBooks(input, undefined)).toSorted(byPlace);

  const groups = byPartition(placed);
  const clock = yield* Clock.Clock;
  const total = groups
    .map((group) => rangeOf(group.flatMap(({ input }) => stretchOf(input).stretch ?? [])))
    .reduce((sum, range) => sum + (range === undefined ? 0 : range.to - range.from), 0);
  const progress = new Progress({
    output: err,
    label: "Counting",
    unit: "record batches",
    total,
    now: () => clock.currentTimeMillisUnsafe(),
  });
  const audits: Audit[] = [];
  let read = 0;
  for (const group of groups) {
    const inputs = group.map(({ input }) => input);
    const { topic, partition } = group[0]!;
    audits.push(
      ...(topic === undefined
        ? inputs.map((input) => auditBooks(input, undefined))
        : yield* auditPartition(link, { topic, partition }, inputs, (records) => {
            read = Math.min(total, read + records);
            progress.update(read);
          })),
    );
  }
  if (total > 0) progress.finish();
  return audits.toSorted(byPlace);
});

const right = (header: string) => ({ header, align: "right" as const });

const verdict = ({ balanced, logEvents }: Audit, fast: boolean): Cell => {
  if (!balanced) return { text: "off", style: "red" };
  if (fast) return { text: "adds up", style: "green" };
  return logEvents === undefined
    ? { text: "not audited", style: "yellow" }
    : { text: "balanced", style: "green" };
};

const maybe = (value: number | undefined): string => (value === undefined ? "-" : count(value));

export const renderAudits = (audits: readonly Audit[], fast: boolean, paint: Paint): string => {
  const table = renderTable(
    [
      { header: "projection" },
      right("version"),
      right("partition"),
      right("in the log"),
      right("in the books"),
      right("counted"),
      right("filtered"),
      right("late"),
      right("duplicate"),
      right("future"),
      right("invalid"),
      right("poison"),
      right("off by"),
      { header: "verdict" },
    ],
    audits.map((audit) => {
      const { books, difference, imbalance } = audit;
      return [
        audit.kind === "routing"
          ? `${shownProjection(audit.projection)} (routing)`
          : audit.projection,
        String(audit.version),
        String(audit.partition),
        maybe(audit.logEvents),
        count(audit.bookEvents ?? books.events),
        count(books.counted),
        count(books.filtered),
        count(books.late),
        count(books.duplicate),
        count(books.future),
        count(books.invalid),
        count(books.poison),
        imbalance === 0 ? maybe(fast ? imbalance : difference) : count(imbalance),
        verdict(audit, fast),
      ];
    }),
    paint,
  );
  const notes = audits.flatMap(({ projection, partition, note }) =>
    note === undefined ? [] : [`  ${projection} ${partition}: ${note}\n`],
  );
  const off = audits.filter(({ balanced }) => !balanced).length;
  const unaudited = fast
    ? 0
    : audits.filter((one) => one.balanced && one.logEvents === undefined).length;
  const events = audits.reduce((sum, { logEvents = 0 }) => sum + logEvents, 0);
  const summary = [
    off === 0
      ? paint("green", "The books balance")
      : paint("red", `The books of ${counted(off, "partition")} are off`),
    ...(fast
      ? ["the log was not counted (--fast)"]
      : [`${counted(events, "event")} of the log counted`]),
    ...(unaudited === 0 ? [] : [`${counted(unaudited, "partition")} could not be audited`]),
  ].join("; ");
  return `${table}${notes.length === 0 ? "" : `\nNotes\n${notes.join("")}`}\n${summary}.\n`;
};

export const auditJson = (audits: readonly Audit[]): string =>
  JSON.stringify({
    balanced: audits.every(({ balanced }) => balanced),
    partitions: audits.map((audit) => ({
      ...audit,
      audited: audit.audited ?? null,
      logEvents: audit.logEvents ?? null,
      bookEvents: audit.bookEvents ?? null,
      difference: audit.difference ?? null,
      note: audit.note ?? null,
    })),
  });

export const audit = (options: AuditOptions, link: Link, { out, err }: Terminal) =>
  Effect.map(auditAll(link, options, err), (audits) => {
    if (options.json) out.write(`${auditJson(audits)}\n`);
    else if (audits.length === 0)
      out.write("Nothing has been committed yet: there are no books.\n");
    else out.write(renderAudits(audits, options.fast, out.paint));
    return audits.every(({ balanced }) => balanced) ? 0 : EXIT_FAILED;
  });
