/** `tidemark status`: what the streams say, as tables or as one line of JSON. */
import { projectionOfTasks } from "../../../projections/definition/table-stage.ts";
import { Effect } from "effect";
import type { ProjectionStatus } from "../../../proto/gen/tidemark/v1/query.ts";
import { NO_BOOKS } from "../../../actors/commit/marker.ts";
import { withoutCredentials } from "../../servers/inspect.ts";
import { describeProblems } from "../../telemetry/health.ts";
import { askHealth, type ProcessHealth } from "../process-health.ts";
import type { RunFile } from "../../processes/run-file.ts";
import type { Link } from "../../nats/link.ts";
import { GatewayClient } from "../gateway-client.ts";
import type { SystemAddress } from "../running-system.ts";
import {
  shownProjection,
  survey as surveyOf,
  type Survey,
  type SurveyPlan,
  type TaskSurvey,
} from "../survey.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { bytes, count, counted, time } from "../terminal/format.ts";
import { renderTable, type Cell } from "../terminal/table.ts";
import type { Paint } from "../terminal/colour.ts";

export interface StatusReport {
  readonly run: RunFile | undefined;
  readonly survey: Survey;
  /** What the gateway says, or why it could not be asked. */
  readonly projections: readonly ProjectionStatus[] | string;
  readonly health: readonly ProcessHealth[];
}

/** How a version's events were accounted for, of all its tasks that read events. */
export type Accounts = Readonly<Record<keyof typeof NO_BOOKS, number>>;

export interface ProjectionSummary {
  readonly projection: string;
  readonly version: number;
  /** Reads and subjects follow it; nobody works on the others. */
  readonly active: boolean;
  readonly results: number | undefined;
  /** Undefined when a task's topic is not configured here, and of a version that is not active. */
  readonly lag: number | undefined;
  /** The least of its tasks' watermarks; undefined before the first event. */
  readonly watermark: number | undefined;
  readonly books: Accounts;
  /** Of all versions of the projection, as long as the DLQ keeps them. */
  readonly deadLetters: number;
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

const leastWatermark = (tasks: readonly TaskSurvey[]): number | undefined => {
  const known = tasks.flatMap(({ marker }) =>
    marker.watermark === undefined ? [] : [marker.watermark],
  );
  return known.length === 0 ? undefined : Math.min(...known);
};

const ACCOUNTS = Object.keys(NO_BOOKS) as readonly (keyof Accounts)[];

const addUp = (books: readonly Accounts[]): Accounts =>
  Object.fromEntries(
    ACCOUNTS.map((account) => [account, sum(books.map((each) => each[account]))]),
  ) as unknown as Accounts;

/**
 * Of both stages of a re-keyed projection: what is counted in the first is passed on, itself or in the rows
 * of a table, and is no more counted if the second puts it into another account. Without a first stage it is
 * the second.
 */
const inOne = (routing: Accounts, readers: Accounts): Accounts => {
  const both = addUp([routing, readers]);
  if (routing.events === 0) return both;
  const otherwise = readers.events - readers.counted;
  return { ...both, events: routing.events, counted: routing.counted - otherwise };
};

export const summarise = ({ survey, projections }: StatusReport): readonly ProjectionSummary[] => {
  const versions = new Map<string, TaskSurvey[]>();
  for (const task of survey.tasks) {
    const name = `${task.projection} ${task.version}`;
    versions.set(name, [...(versions.get(name) ?? []), task]);
  }
  return [...versions.values()].map((tasks) => {
    const { projection, version } = tasks[0]!;
    const served = Array.isArray(projections)
      ? (projections as readonly ProjectionStatus[]).find(
          (status) => status.projection === projection && status.version === version,
        )
      : undefined;
    const merge = tasks.filter(({ kind }) => kind === "merge");
    const routing = tasks.filter(({ kind }) => kind === "routing");
    const readers = tasks.filter(({ kind }) => kind !== "merge" && kind !== "routing");
    const lags = tasks.map(({ lag }) => lag);
    return {
      projection,
      version,
      active: tasks[0]!.active,
      results: served?.results,
      lag: lags.includes(undefined) ? undefined : sum(lags as number[]),
      watermark: leastWatermark([merge, readers, routing].find((some) => some.length > 0) ?? []),
      books: inOne(
        addUp(routing.map(({ marker }) => marker.books)),
        addUp(readers.map(({ marker }) => marker.books)),
      ),
      deadLetters: sum(
        survey.deadLetters
          .filter((letters) => letters.projection === projection)
          .map((letters) => letters.count),
      ),
    };
  });
};

/** A table that runs within a join has none of its own; of others nobody was asked. */
const withoutResults = (projection: string): string =>
  projectionOfTasks(projection) === projection ? "?" : "-";

export const statusJson = (report: StatusReport): string =>
  JSON.stringify({
    system: report.run ?? null,
    problems: report.health.flatMap(({ name, problems }) =>
      problems.map((problem) => ({ process: name, ...problem })),
    ),
    topics: report.survey.topics,
    projections: summarise(report).map((row) => ({
      ...row,
      results: row.results ?? null,
      lag: row.lag ?? null,
      watermark: row.watermark ?? null,
    })),
    tasks: report.survey.tasks.map(({ marker, ...task }) => ({
      ...task,
      lag: task.lag ?? null,
      epoch: marker.epoch,
      inputSequence: marker.inputSequence,
      watermark: marker.watermark ?? null,
      idle: marker.idle,
      books: marker.books,
    })),
    deadLetters: report.survey.deadLetters,
  });

const shownLag = (lag: number | undefined): Cell => {
  if (lag === undefined) return { text: "?", style: "yellow" };
  return lag === 0 ? { text: "0", style: "green" } : { text: count(lag), style: "yellow" };
};

const shownTime = (ms: number | undefined): string => (ms === undefined ? "-" : time(ms));

/** What one would want to look into stands out. */
const shownAccount = (account: keyof Accounts, events: number): Cell => {
  const odd = account === "conflict" || account === "poison" || account === "invalid";
  return odd && events > 0 ? { text: count(events), style: "yellow" } : count(events);
};

const hiddenVersions = (versions: number): string =>
  versions === 0 ? "" : `${counted(versions, "version")} that nobody works on: --all\n`;

const right = (header: string) => ({ header, align: "right" as const });

const metricsOf = ({ processes }: RunFile): string => {
  const width = Math.max(...processes.map(({ name }) => name.length));
  return processes.map(({ name, metrics }) => `${name.padEnd(width)}  ${metrics}`).join("\n");
};

/** `all`: also versions that are not the active ones. */
export const renderStatus = (report: StatusReport, paint: Paint, all = false): string => {
  const { run, survey } = report;
  const sections: string[] = [];
  if (run !== undefined) {
    const rows = [
      ["gateway", run.gateway],
      ["NATS", withoutCredentials(run.natsUrl)],
      ["Redis", withoutCredentials(run.redisUrl)],
      ["metrics", metricsOf(run)],
      ["pid", `${run.pid}, since ${time(Math.floor(Date.parse(run.startedAt) / 1_000) * 1_000)}`],
      ["data", run.dataDir],
    ] as const;
    const indent = Math.max(...rows.map(([name]) => name.length)) + 2;
    const lines = rows.map(([name, text]) => {
      const aligned = text.replaceAll("\n", `\n${" ".repeat(indent)}`);
      return `${paint("dim", name.padEnd(indent))}${aligned}\n`;
    });
    sections.push(`${paint("bold", "System")}\n${lines.join("")}`);
  }
  const problems = report.health.flatMap(({ name, problems: own }) =>
    describeProblems(own).map((text) => `${paint("red", name)}  ${text}\n`),
  );
  if (problems.length > 0) sections.push(`${paint("bold", "Problems")}\n${problems.join("")}`);
  if (typeof report.projections === "string") {
    sections.push(`${paint("yellow", "the gateway was not asked")}: ${report.projections}\n`);
  }
  sections.push(
    `${paint("bold", "Topics")}\n` +
      renderTable(
        [{ header: "topic" }, right("partition"), right("first"), right("last"), right("size")],
        survey.topics.flatMap(({ name, partitions }) =>
          partitions.length === 0
            ? [[name, "-", "-", "-", "-"]]
            : partitions.map(({ partition, first, last, bytes: size }) => [
                name,
                String(partition),
                count(first),
                count(last),
                bytes(size),
              ]),
        ),
        paint,
      ),
  );
  const summary = summarise(report);
  const shown = summary.filter(({ active }) => active || all);
  sections.push(
    `${paint("bold", "Projections")}\n` +
      renderTable(
        [
          { header: "projection" },
          right("version"),
          { header: "active" },
          right("results"),
          right("lag"),
          { header: "watermark" },
        ],
        shown.map((row) => [
          shownProjection(row.projection),
          String(row.version),
          row.active ? "yes" : { text: "no", style: "dim" as const },
          row.results === undefined ? withoutResults(row.projection) : count(row.results),
          row.active ? shownLag(row.lag) : { text: "-", style: "dim" as const },
          shownTime(row.watermark),
        ]),
        paint,
      ),
  );
  sections.push(
    `${paint("bold", "Events")}\n` +
      renderTable(
        [
          { header: "projection" },
          right("version"),
          ...ACCOUNTS.map((account) => right(account)),
          right("dead letters"),
        ],
        shown.map((row) => [
          shownProjection(row.projection),
          String(row.version),
          ...ACCOUNTS.map((account) => shownAccount(account, row.books[account])),
          count(row.deadLetters),
        ]),
        paint,
      ) +
      hiddenVersions(summary.length - shown.length),
  );
  if (survey.deadLetters.length > 0) {
    sections.push(
      `${paint("bold", "Dead letters")}\n` +
        renderTable(
          [{ header: "topic" }, { header: "projection" }, { header: "reason" }, right("count")],
          survey.deadLetters.map((row) => [
            row.topic,
            shownProjection(row.projection),
            row.reason,
            count(row.count),
          ]),
          paint,
        ),
    );
  }
  return sections.join("\n");
};

export interface ShowStatusOptions {
  readonly link: Link;
  readonly plan: SurveyPlan;
  readonly system: SystemAddress;
  readonly json: boolean;
  readonly watch: boolean;
  readonly all: boolean;
}

const WATCH_EVERY = "1 second";

/** What the gateway says of projections, or why it says nothing. */
const askGateway = (gateway: string | undefined): Effect.Effect<StatusReport["projections"]> => {
  if (gateway === undefined) return Effect.succeed("no gateway is known");
  return Effect.acquireUseRelease(
    Effect.sync(() => new GatewayClient(gateway)),
    (client) => Effect.tryPromise({ try: () => client.listProjections(), catch: String }),
    (client) => Effect.sync(() => client.close()),
  ).pipe(Effect.catch((problem) => Effect.succeed(problem)));
};

export const showStatus = (
  { link, plan, system, json, watch, all }: ShowStatusOptions,
  { out }: Terminal,
): Effect.Effect<number, unknown> => {
  const once = Effect.gen(function* () {
    const survey = yield* surveyOf(link, plan);
    const projections = yield* askGateway(system.gateway);
    const health = yield* askHealth(system.run);
    const report = { run: system.run, survey, projections, health };
    // Home, then clear: less flicker than the other way round.
    const clear = watch && out.isTerminal ? "\x1b[H\x1b[2J" : "";
    out.write(json ? `${statusJson(report)}\n` : `${clear}${renderStatus(report, out.paint, all)}`);
    return 0;
  });
  if (!watch) return once;
  return once.pipe(Effect.andThen(Effect.sleep(WATCH_EVERY)), Effect.forever);
};
