/** Checks a topic that came as data, fills its defaults, and notes every mistake with its path. */
import { NAME_PATTERN, NAME_RULE } from "../../proto/subjects.ts";
import type { TopicDefinition } from "./definition.ts";
import { at, NOT_NEGATIVE, POSITIVE, shown, type Mistakes } from "./reading.ts";

export const TOPIC_DEFAULTS = {
  partitions: 8,
  maxOutOfOrdernessMs: 10_000,
  maxFutureSkewMs: 300_000,
  dedupeHorizonMs: 600_000,
  idleAfterMs: 30_000,
  retentionMs: 7 * 86_400_000,
  /** No limit but the disk. */
  maxBytes: -1,
} as const;

export const PARTITIONS_MAX = 4096;

/** Two weeks: the engine keeps the times of ids in 31 bits of milliseconds, and every id costs memory. */
export const DEDUPE_HORIZON = { min: 0, max: 14 * 86_400_000 };

export const TOPIC_KEYS = [
  "name",
  "partitions",
  "schemas",
  "types",
  "maxOutOfOrdernessMs",
  "maxFutureSkewMs",
  "dedupeHorizonMs",
  "idleAfterMs",
  "retentionMs",
  "compacted",
  "maxBytes",
] as const satisfies readonly (keyof TopicDefinition)[];

/** A name of a topic or projection. */
export const checkName = (value: unknown, path: string, mistakes: Mistakes): string | undefined => {
  if (typeof value === "string" && NAME_PATTERN.test(value)) return value;
  const fixed =
    typeof value === "string"
      ? value
          .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
          .toLowerCase()
          .replace(/[^a-z0-9]+/g, "-")
          .replace(/^[^a-z]+|-+$/g, "")
          .slice(0, 63)
      : "";
  const hint = NAME_PATTERN.test(fixed) ? `; ${JSON.stringify(fixed)} would do` : "";
  return mistakes.wrong(path, NAME_RULE, value, hint);
};

/** A list of at least one text, no two the same. */
const names = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  what: string,
): readonly string[] | undefined => {
  if (value === undefined) return mistakes.add(path, `is missing: ${what}`);
  const items = mistakes.items(value, path);
  if (items === undefined) return undefined;
  if (items.length === 0) return mistakes.add(path, `is empty: ${what}`);
  items.forEach((item, index) => {
    if (mistakes.text(item, at(path, index)) === undefined) return;
    if (items.indexOf(item) < index)
      mistakes.add(at(path, index), `${shown(item)} stands here twice`);
  });
  return items as readonly string[];
};

/**
 * The topic with its defaults, or undefined when it is not even an object; right only if nothing was
 * noted. `named` gives the name by which mistakes call a key.
 */
export const checkTopic = (
  value: unknown,
  mistakes: Mistakes,
  named: (key: string) => string = (key) => key,
  path = "",
): TopicDefinition | undefined => {
  const given = mistakes.object(value, path, TOPIC_KEYS);
  if (given === undefined) return undefined;
  const where = (key: (typeof TOPIC_KEYS)[number]): string => at(path, named(key));
  const duration = (
    key: Exclude<keyof typeof TOPIC_DEFAULTS, "partitions" | "maxBytes">,
    range = NOT_NEGATIVE,
  ) => mistakes.duration(given[key] ?? TOPIC_DEFAULTS[key], where(key), range)!;
  const maxBytes = given["maxBytes"] ?? TOPIC_DEFAULTS.maxBytes;
  const compacted = mistakes.boolean(given["compacted"] ?? false, where("compacted"));
  return {
    name: checkName(given["name"], where("name"), mistakes)!,
    partitions: mistakes.whole(
      given["partitions"] ?? TOPIC_DEFAULTS.partitions,
      where("partitions"),
      { min: 1, max: PARTITIONS_MAX },
    )!,
    schemas: names(given["schemas"], where("schemas"), mistakes, "name at least one .proto file")!,
    types: names(
      given["types"],
      where("types"),
      mistakes,
      'name at least one message type, as "package.Message"',
    )!,
    maxOutOfOrdernessMs: duration("maxOutOfOrdernessMs"),
    maxFutureSkewMs: duration("maxFutureSkewMs"),
    dedupeHorizonMs: duration("dedupeHorizonMs", DEDUPE_HORIZON),
    idleAfterMs: duration("idleAfterMs", POSITIVE),
    retentionMs: duration("retentionMs", POSITIVE),
    ...(compacted === true && { compacted }),
    maxBytes:
      maxBytes === -1
        ? -1
        : mistakes.bytes(maxBytes, where("maxBytes"), { min: 1, max: Number.MAX_SAFE_INTEGER })!,
  };
};
