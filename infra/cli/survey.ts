/**
 * What the streams say of a system: the one account of topics, tasks, lag and dead letters that
 * `status`, the demo and the benchmark share. Read from the log itself, so it is true also when no
 * process of ours is alive.
 */
import { Effect } from "effect";
import type { Marker } from "../../actors/commit/marker.ts";
import { lastCommit } from "../../actors/commit/parts.ts";
import { activeAfter, FIRST_ACTIVE } from "../../actors/relay/active-versions.ts";
import type { ActiveVersion } from "../../actors/relay/active-versions.ts";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import {
  DLQ_STREAM,
  PROJECTIONS_STREAM,
  RESULTS_STREAM,
  controlSubject,
  eventsStream,
  routedTopic,
} from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { namedSources, sourceNames, tableOf } from "../../projections/definition/join-sources.ts";
import {
  joinOfTableStage,
  projectionOfTasks,
  tableStageName,
} from "../../projections/definition/table-stage.ts";
import type { Config } from "../config/config.ts";
import { request, storedMessage, type ApiFailure, type StreamInfo } from "../nats/jetstream-api.ts";
import type { Link } from "../nats/link.ts";
import { resultReads } from "../nats/result-log.ts";

export interface PartitionSurvey {
  readonly partition: number;
  readonly first: number;
  /** 0 before the first record batch. */
  readonly last: number;
  readonly bytes: number;
}

export interface TopicSurvey {
  readonly name: string;
  /** Empty when the topic was never provisioned. */
  readonly partitions: readonly PartitionSurvey[];
}

export interface TaskSurvey {
  readonly kind: TaskId["kind"];
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  /** Whose log it reads; undefined where that is not configured here, and of merging tasks. */
  readonly topic: string | undefined;
  /** Which of that topic; that of the task, unless the projection has several sources. */
  readonly inputPartition: number;
  readonly marker: Marker;
  /** Of the version that reads and subjects follow; nobody works on the others. */
  readonly active: boolean;
  /** Records of its input that the task has not committed; undefined for an unknown topic, and for a
   * version that is not the active one. */
  readonly lag: number | undefined;
}

export interface DeadLetterCount {
  readonly topic: string;
  readonly projection: string;
  readonly reason: string;
  readonly count: number;
}

export interface Survey {
  readonly topics: readonly TopicSurvey[];
  readonly tasks: readonly TaskSurvey[];
  readonly deadLetters: readonly DeadLetterCount[];
  readonly streams: readonly StreamInfo[];
  /** Last sequence of RESULTS. */
  readonly resultsLast: number;
}

/** What must be known of the configuration to place tasks and streams. */
export type SurveyPlan = Pick<Config, "topics" | "projections">;

interface StreamPage {
  readonly total: number;
  readonly streams: readonly StreamInfo[] | null;
}

const listStreams = Effect.fnUntraced(function* (
  link: Link,
): Effect.fn.Return<readonly StreamInfo[], ApiFailure> {
  const streams: StreamInfo[] = [];
  for (;;) {
    const page = yield* request<StreamPage>(link, "$JS.API.STREAM.LIST", {
      offset: streams.length,
    });
    streams.push(...(page.streams ?? []));
    if (streams.length >= page.total || (page.streams ?? []).length === 0) return streams;
  }
});

/** Subjects of a stream that match a filter, with their numbers of messages. */
const subjectsOf = Effect.fnUntraced(function* (
  link: Link,
  stream: string,
  filter: string,
): Effect.fn.Return<ReadonlyMap<string, number>, ApiFailure> {
  const subjects = new Map<string, number>();
  for (;;) {
    const info = yield* request<StreamInfo & { readonly total?: number }>(
      link,
      `$JS.API.STREAM.INFO.${stream}`,
      { subjects_filter: filter, offset: subjects.size },
    );
    const page = Object.entries(info.state.subjects ?? {});
    for (const [subject, count] of page) subjects.set(subject, count);
    if (page.length === 0 || subjects.size >= (info.total ?? 0)) return subjects;
  }
});

const surveyTopics = (
  plan: SurveyPlan,
  streams: ReadonlyMap<string, StreamInfo>,
): readonly TopicSurvey[] =>
  plan.topics.map(({ name, partitions }) => ({
    name,
    partitions: Array.from({ length: partitions }, (_, partition) => ({
      partition,
      state: streams.get(eventsStream(name, partition))?.state,
    }))
      .filter(({ state }) => state !== undefined)
      .map(({ partition, state }) => ({
        partition,
        first: state!.first_seq,
        last: state!.last_seq,
        bytes: state!.bytes,
      })),
  }));

/** First tokens of the subjects of commits. */
const ROOTS = ["results", "partials", "routed"] as const;

export interface Found {
  readonly root: (typeof ROOTS)[number];
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  readonly marker: Marker;
}

const findTasks = Effect.fnUntraced(function* (
  link: Link,
): Effect.fn.Return<readonly Found[], ApiFailure> {
  const found: Found[] = [];
  for (const root of ROOTS) {
    for (const subject of (yield* subjectsOf(link, RESULTS_STREAM, `${root}.>`)).keys()) {
      const [, projection = "", version, partition] = subject.split(".");
      const { marker } = yield* lastCommit(resultReads(link), subject);
      if (marker === undefined) continue;
      found.push({
        root,
        projection,
        version: Number(version),
        partition: Number(partition),
        marker,
      });
    }
  }
  return found;
});

/** The active version of each projection that has tasks, and whose re-keyed log it reads. */
const activeVersions = Effect.fnUntraced(function* (
  link: Link,
  tasks: readonly Found[],
): Effect.fn.Return<ReadonlyMap<string, ActiveVersion>, ApiFailure> {
  const versions = new Map<string, ActiveVersion>();
  for (const projection of tasks.map((task) => projectionOfTasks(task.projection))) {
    if (versions.has(projection)) continue;
    const last = yield* storedMessage(link, RESULTS_STREAM, {
      last_by_subj: controlSubject(projection),
    });
    versions.set(projection, activeAfter(last && Promotion.decode(last.data)));
  }
  return versions;
});

/** How people are told of what has this name: a table has that of its join. */
export const shownProjection = (projection: string): string => {
  const join = joinOfTableStage(projection);
  return join === undefined ? projection : `${shownProjection(join)}, table`;
};

const sameVersion = (a: Found, b: Found): boolean =>
  a.projection === b.projection && a.version === b.version;

/** Behind a name of tasks: where a table runs within a join, the table's. */
export const definitionOf = (
  projections: readonly ProjectionDefinition[],
  projection: string,
): ProjectionDefinition | undefined => {
  const join = joinOfTableStage(projection);
  const reader = join === undefined ? undefined : definitionOf(projections, join);
  const sought = join === undefined ? projection : reader && tableOf(reader);
  return projections.find(({ name }) => name === sought);
};

/** Of the log that a projection's tasks read; undefined where a topic is not configured here. */
const partitionsOf = (
  { topics, projections }: SurveyPlan,
  definition: ProjectionDefinition,
): number | undefined => {
  const known = sourceNames(definition, projections).map(
    (topic) => topics.find(({ name }) => name === topic)?.partitions,
  );
  return known.includes(undefined) ? undefined : Math.max(...(known as number[]));
};

/** Upstreams are the partitions of all sources, numbered through. */
const sourceOf = (plan: SurveyPlan, task: Found, all: readonly Found[]) => {
  const { projection, version, partition } = task;
  const definition = definitionOf(plan.projections, projection);
  const stage = tableStageName(projection);
  // Of this version: in another one the table may have been defined otherwise.
  const staged = all.some(
    (other) => other.root === "routed" && other.projection === stage && other.version === version,
  );
  let inputPartition = partition;
  for (const source of definition === undefined ? [] : namedSources(definition)) {
    const table = plan.projections.find(({ name }) => name === source.projection);
    const topic =
      table === undefined
        ? String(source.topic)
        : staged
          ? routedTopic(stage, version)
          : sourceNames(table, plan.projections)[0];
    const partitions =
      table === undefined
        ? plan.topics.find(({ name }) => name === topic)?.partitions
        : partitionsOf(plan, table);
    if (partitions === undefined || inputPartition < partitions) return { topic, inputPartition };
    inputPartition -= partitions;
  }
  return { topic: undefined, inputPartition: partition };
};

/** Exported for tests. */
export const placeTask = (
  task: Found,
  all: readonly Found[],
  plan: SurveyPlan,
  streams: ReadonlyMap<string, StreamInfo>,
  versions: ReadonlyMap<string, ActiveVersion>,
): TaskSurvey => {
  const { root, projection, version, partition, marker } = task;
  const { version: live, routing } = versions.get(projectionOfTasks(projection)) ?? FIRST_ACTIVE;
  const active = version === (root === "routed" ? routing : live);
  const place = { projection, version, partition, marker, active, inputPartition: partition };
  const partials = all.filter((other) => other.root === "partials" && sameVersion(task, other));
  if (root === "results" && partials.length > 0) {
    // Its input is the partials in RESULTS.
    const last = Math.max(...partials.map((partial) => partial.marker.sequence));
    const lag = active ? Math.max(0, last - marker.inputSequence) : undefined;
    return { ...place, kind: "merge", topic: undefined, lag };
  }
  const rekeyed = all.some(
    (other) =>
      other.root === "routed" && other.projection === projection && other.version === routing,
  );
  const input =
    rekeyed && root === "results"
      ? { topic: routedTopic(projection, routing), inputPartition: partition }
      : sourceOf(plan, task, all);
  const log = streams.get(eventsStream(input.topic ?? "", input.inputPartition))?.state;
  const lag =
    log === undefined || !active ? undefined : Math.max(0, log.last_seq - marker.inputSequence);
  const kind = ({ results: "window", partials: "partial", routed: "routing" } as const)[root];
  return { ...place, ...input, kind, lag };
};

const byPlace = (a: TaskSurvey, b: TaskSurvey): number =>
  a.projection.localeCompare(b.projection) ||
  a.version - b.version ||
  Number(a.kind === "merge") - Number(b.kind === "merge") ||
  a.partition - b.partition;

export const survey = Effect.fn("survey")(function* (
  link: Link,
  plan: SurveyPlan,
): Effect.fn.Return<Survey, ApiFailure> {
  const streams = yield* listStreams(link);
  const byName = new Map(streams.map((info) => [info.config.name, info]));
  const tasks = byName.has(RESULTS_STREAM) ? yield* findTasks(link) : [];
  const letters: ReadonlyMap<string, number> = byName.has(DLQ_STREAM)
    ? yield* subjectsOf(link, DLQ_STREAM, "dlq.>")
    : new Map();
  const topics = surveyTopics(plan, byName);
  const versions = yield* activeVersions(link, tasks);
  return {
    topics,
    tasks: tasks.map((task) => placeTask(task, tasks, plan, byName, versions)).toSorted(byPlace),
    deadLetters: [...letters]
      .map(([subject, count]) => {
        const [, topic = "", projection = "", reason = ""] = subject.split(".");
        return { topic, projection, reason, count };
      })
      .toSorted((a, b) => a.projection.localeCompare(b.projection)),
    streams: streams.filter(
      ({ config: { name } }) =>
        [RESULTS_STREAM, PROJECTIONS_STREAM, DLQ_STREAM].includes(name) ||
        name.startsWith("EVENTS_"),
    ),
    resultsLast: byName.get(RESULTS_STREAM)?.state.last_seq ?? 0,
  };
});
