/**
 * `topic()`: a log of events, its types and its clock.
 *
 * A relative path of a .proto file is taken from the file in which `topic()` is called, so that a
 * definition works from whatever folder it is started. Paths in JSON are relative to that JSON file.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DefinitionError } from "../errors.ts";
import type { ByteSize } from "./byte-size.ts";
import { callerFolder } from "./caller-folder.ts";
import { checkTopic, TOPIC_DEFAULTS } from "./check-topic.ts";
import type { TopicDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";
import { Mistakes } from "./reading.ts";

export interface TopicOptions<Type extends string> {
  /** .proto files, relative to the file in which `topic()` is called, or as URLs. */
  readonly schemas: readonly (string | URL)[];
  /** Full names of the message types that are events of this topic: "flights.Departure". */
  readonly types: readonly Type[];
  /** 1 to 4096, fixed for the life of the topic. Default 8. */
  readonly partitions?: number;
  /** How much older than the newest event an event may be without being late. Default 10 s. */
  readonly maxOutOfOrderness?: Duration;
  /** An event further ahead of the gateway's clock is quarantined. Default 5 minutes. */
  readonly maxFutureSkew?: Duration;
  /** How long an event's id is remembered, in ingest time. Default 10 minutes. */
  readonly dedupeHorizon?: Duration;
  /** A partition silent for so long no longer holds back event time. Default 30 s. */
  readonly idleAfter?: Duration;
  /** How long the log keeps events. Default 7 days. */
  readonly retention?: Duration;
  /**
   * For a table's rows: the log keeps the newest event of each key for ever; only events that a newer one
   * replaces go after `retention`. Default false.
   */
  readonly compacted?: boolean;
  /** Size of a partition's log at which it refuses more. Default: no limit but the disk. */
  readonly maxBytes?: ByteSize;
}

/** A topic that knows the names of its types, for `projection()` to check. */
export interface Topic<Type extends string = string> extends TopicDefinition {
  readonly types: readonly Type[];
}

const OPTIONS = [
  "schemas",
  "types",
  "partitions",
  "maxOutOfOrderness",
  "maxFutureSkew",
  "dedupeHorizon",
  "idleAfter",
  "retention",
  "compacted",
  "maxBytes",
] as const satisfies readonly (keyof TopicOptions<string>)[];

export const topic = <const Type extends string>(
  name: string,
  options: TopicOptions<Type>,
): Topic<Type> => {
  const subject = `topic ${JSON.stringify(name)}`;
  const mistakes = new Mistakes();
  const given = mistakes.object(options, "", OPTIONS) as Partial<TopicOptions<Type>> | undefined;
  const folder = callerFolder(topic);
  const absolute = (path: unknown): unknown => {
    if (path instanceof URL) return path.protocol === "file:" ? fileURLToPath(path) : path.href;
    return typeof path === "string" && folder !== undefined ? resolve(folder, path) : path;
  };
  const checked =
    given === undefined
      ? undefined
      : checkTopic(
          {
            name,
            partitions: given.partitions ?? TOPIC_DEFAULTS.partitions,
            schemas: Array.isArray(given.schemas) ? given.schemas.map(absolute) : given.schemas,
            types: given.types,
            maxOutOfOrdernessMs: given.maxOutOfOrderness,
            maxFutureSkewMs: given.maxFutureSkew,
            dedupeHorizonMs: given.dedupeHorizon,
            idleAfterMs: given.idleAfter,
            retentionMs: given.retention,
            compacted: given.compacted,
            maxBytes: given.maxBytes,
          },
          mistakes,
          // Mistakes carry the names that were written: without "Ms".
          (key) => key.replace(/Ms$/, ""),
        );
  if (checked === undefined || mistakes.list.length > 0) {
    throw new DefinitionError(subject, mistakes.list);
  }
  return checked as Topic<Type>;
};
