/**
 * Makes the streams what the design says, and says clearly when that cannot be. Safe to run from
 * several processes, again and again.
 *
 * V1. No stream ever loses messages by provisioning: limits and retention change, names, storage and
 *     partitions do not.
 * V2. Only the EVENTS of topics have a max_age, and not those of compacted topics. RESULTS keeps the last commit of every task, PROJECTIONS,
 *     DLQ and the logs of re-keyed projections keep the relay's cursor, however long nobody writes;
 *     age is enforced by those who know which message must stay (`ResultLog.trim`, `retention.ts`).
 *
 * Why not a max_age and `Nats-TTL: never` on the cursor: a running nats-server honours it, but one that
 * starts drops every block older than max_age, without looking at TTLs (seen in 2.15.1).
 */
import { Effect } from "effect";
import type { StreamConfig } from "nats";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import {
  DLQ_STREAM,
  PROJECTIONS_STREAM,
  RESULTS_STREAM,
  eventsStream,
  eventsSubject,
  relayCursorSubject,
} from "../../proto/subjects.ts";
import { Connection } from "./connection.ts";
import {
  CompactionChanged,
  JS,
  PartitionsChanged,
  StreamMissing,
  StreamRefused,
} from "./errors.ts";
import { type ApiFailure, request, streamInfo, unavailable } from "./jetstream-api.ts";
import type { Link } from "./link.ts";

/** What provisioning needs of a topic's definition. */
export interface TopicStreams {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
  /** Its record batches go one by one, once nothing in them is needed (`actors/compact`). */
  readonly compacted?: boolean;
  /** Per partition. */
  readonly maxBytes: number;
}

export interface ProvisionOptions {
  readonly topics: readonly TopicStreams[];
  /** 1 on a single server, 3 in a cluster. */
  readonly replicas?: number;
}

export type ProvisionError =
  CompactionChanged | PartitionsChanged | StreamMissing | StreamRefused | LogUnavailable;

/** Newer than the client's types. */
type Config = Partial<StreamConfig> & {
  readonly name: string;
  readonly allow_atomic?: boolean;
  readonly metadata?: Record<string, string>;
};

const nanosecondsPerMs = 1_000_000;
const duplicateWindowMs = 120_000;
const partitionsKey = "tidemark.partitions";

const durable = (name: string, subjects: string[], replicas: number) => ({
  name,
  subjects,
  storage: "file" as StreamConfig["storage"],
  retention: "limits" as StreamConfig["retention"],
  discard: "new" as StreamConfig["discard"],
  num_replicas: replicas,
  deny_delete: true,
  allow_direct: true,
  max_msgs: -1,
  max_bytes: -1,
  max_age: 0,
});

const eventsConfig = (topic: TopicStreams, partition: number, replicas: number): Config => {
  const { name, retentionMs, maxBytes, partitions, compacted = false } = topic;
  return {
    ...durable(eventsStream(name, partition), [eventsSubject(name, partition)], replicas),
    deny_delete: !compacted,
    max_age: compacted ? 0 : retentionMs * nanosecondsPerMs,
    max_bytes: maxBytes,
    // A window longer than what is kept is refused by the server.
    duplicate_window: Math.min(duplicateWindowMs, retentionMs) * nanosecondsPerMs,
    metadata: { [partitionsKey]: `${partitions}` },
  };
};

const sharedConfigs = (replicas: number): readonly Config[] => [
  {
    ...durable(RESULTS_STREAM, ["results.>", "partials.>", "routed.>", "control.>"], replicas),
    allow_atomic: true,
  },
  {
    ...durable(PROJECTIONS_STREAM, ["projections.>", relayCursorSubject("projections")], replicas),
    allow_atomic: true,
  },
  {
    ...durable(DLQ_STREAM, ["dlq.>", relayCursorSubject("dlq")], replicas),
    allow_atomic: true,
  },
];

const sameValue = (left: unknown, right: unknown): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

/** The server adds metadata of its own. */
const isAsWanted = (existing: Config, wanted: Config): boolean => {
  const { metadata, ...fields } = wanted;
  const current = existing as unknown as Readonly<Record<string, unknown>>;
  return (
    Object.entries(fields).every(([name, value]) => sameValue(current[name], value)) &&
    Object.entries(metadata ?? {}).every(([name, value]) => existing.metadata?.[name] === value)
  );
};

const refused =
  (stream: string) =>
  (failure: ApiFailure): StreamRefused | LogUnavailable =>
    failure.code === 0
      ? unavailable(stream)(failure)
      : new StreamRefused({ stream, code: failure.code, description: failure.description });

/** The configuration that exists, undefined when the stream does not. */
const existingConfig = (link: Link, stream: string) =>
  streamInfo(link, stream).pipe(
    Effect.map(({ config }): Config | undefined => config),
    Effect.catchTag("ApiFailure", (failure) =>
      failure.code === JS.streamNotFound
        ? Effect.succeed(undefined)
        : Effect.fail(refused(stream)(failure)),
    ),
  );

/** Age of the log of a re-keyed projection, which has no max_age: see V2. */
export const retentionKey = "tidemark.retention_ms";
/** In place of the age: age alone deletes nothing of it. */
const COMPACTED = "compacted";

/** A stream that only the engine writes: its last message says where the relay goes on (V2). */
export const rekeyedConfig = (
  topic: Omit<TopicStreams, "maxBytes">,
  partition: number,
  replicas: number,
): Config => ({
  ...durable(eventsStream(topic.name, partition), [eventsSubject(topic.name, partition)], replicas),
  deny_delete: topic.compacted !== true,
  metadata: {
    [partitionsKey]: `${topic.partitions}`,
    [retentionKey]: topic.compacted === true ? COMPACTED : `${topic.retentionMs}`,
  },
});

const updateStream = (link: Link, existing: Config, wanted: Config) => {
  const { name } = wanted;
  const metadata = { ...existing.metadata, ...wanted.metadata };
  return request(link, `$JS.API.STREAM.UPDATE.${name}`, { ...existing, ...wanted, metadata }).pipe(
    Effect.mapError(refused(name)),
    Effect.asVoid,
  );
};

/** `mayChange`: whether one that is there is to become what is wanted. */
const ensureStream = Effect.fnUntraced(function* (
  link: Link,
  wanted: Config,
  mayChange: (existing: Config) => boolean = () => true,
): Effect.fn.Return<void, StreamRefused | LogUnavailable> {
  const { name } = wanted;
  const existing = yield* existingConfig(link, name);
  if (existing === undefined) {
    // Another process may make it at the same moment: then the server compares the two.
    yield* request(link, `$JS.API.STREAM.CREATE.${name}`, wanted).pipe(
      Effect.mapError(refused(name)),
    );
  } else if (mayChange(existing) && !isAsWanted(existing, wanted)) {
    yield* updateStream(link, existing, wanted);
  }
});

/**
 * The log of a re-keyed version. Whether it is compacted is fixed when it is made. If now it were to be the other way
 * round, the definition is not that of its version, which will not go on with this one but may be restored: then
 * it stays as it is, since what an age deletes is gone for ever, and so is the permission to compact.
 */
export const ensureRekeyed = (
  link: Link,
  wanted: Config,
): Effect.Effect<void, StreamRefused | LogUnavailable> =>
  ensureStream(link, wanted, (existing) => existing.deny_delete === wanted.deny_delete);

interface StreamNames {
  readonly total: number;
  readonly streams: readonly string[] | null;
}

/** Names of the streams that take some subject matching a filter. */
export const streamNames = Effect.fnUntraced(function* (link: Link, subject: string) {
  const names: string[] = [];
  for (;;) {
    const page = yield* request<StreamNames>(link, "$JS.API.STREAM.NAMES", {
      subject,
      offset: names.length,
    });
    names.push(...(page.streams ?? []));
    if (names.length >= page.total || page.streams === null) return names;
  }
});

const checkTopic = Effect.fnUntraced(function* (
  link: Link,
  topic: TopicStreams,
): Effect.fn.Return<void, ProvisionError> {
  const prefix = eventsStream(topic.name, 0).slice(0, -1);
  const names = (yield* streamNames(link, `events.${topic.name}.*`).pipe(
    Effect.mapError(unavailable(`${prefix}*`)),
  )).filter((name) => name.startsWith(prefix));
  if (names.length === 0) return;
  let holdsEvents = false;
  for (const name of names) {
    const info = yield* streamInfo(link, name).pipe(Effect.mapError(refused(name)));
    holdsEvents ||= info.state.last_seq > 0;
    // The server takes neither back: deletes that are denied, and what an age has deleted.
    const compacted = (info.config as Config).deny_delete !== true;
    if (compacted !== (topic.compacted === true)) {
      return yield* new CompactionChanged({ topic: topic.name, compacted });
    }
    // A run that was cut off has made some of the streams: each says how many there are to be.
    const existing = Number((info.config as Config).metadata?.[partitionsKey] ?? names.length);
    if (existing !== topic.partitions) {
      const { partitions: configured } = topic;
      return yield* new PartitionsChanged({ topic: topic.name, configured, existing });
    }
  }
  if (!holdsEvents) return;
  for (let partition = 0; partition < topic.partitions; partition++) {
    const stream = eventsStream(topic.name, partition);
    if (!names.includes(stream)) return yield* new StreamMissing({ topic: topic.name, stream });
  }
});

/** All streams that these topics need. Nothing is made when a topic's partitions do not fit. */
export const provision = Effect.fn("provision")(function* (
  options: ProvisionOptions,
): Effect.fn.Return<void, ProvisionError, Connection> {
  const link = yield* Connection;
  const { topics, replicas = 1 } = options;
  for (const topic of topics) yield* checkTopic(link, topic);
  for (const wanted of sharedConfigs(replicas)) yield* ensureStream(link, wanted);
  for (const topic of topics) {
    for (let partition = 0; partition < topic.partitions; partition++) {
      yield* ensureStream(link, eventsConfig(topic, partition, replicas));
    }
  }
});
