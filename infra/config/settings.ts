/**
 * Every setting: its key in the configuration file, its variable in the environment, its kind and its
 * default. The one place to add one; docs/CONFIGURATION.md is compared with it.
 */
import { availableParallelism } from "node:os";
import { formatDuration } from "../../projections/definition/duration.ts";
import type { Mistakes, Range } from "../../projections/definition/reading.ts";

interface Kinds {
  readonly text: string;
  readonly url: string;
  readonly boolean: boolean;
  readonly whole: number;
  readonly bytes: number;
  readonly duration: number;
  readonly level: "debug" | "info" | "warn" | "error";
}

export interface Setting<Kind extends keyof Kinds = keyof Kinds> {
  readonly variable: string;
  readonly kind: Kind;
  /** Undefined where there need not be one. */
  readonly default: Kinds[Kind] | undefined;
  readonly help: string;
  readonly range?: Range;
  /** Of URLs. */
  readonly protocols?: readonly string[];
}

const setting = <const Kind extends keyof Kinds>(value: Setting<Kind>): Setting<Kind> => value;

const PORT: Range = { min: 0, max: 65_535 };
const KIB = 1024;
const MINUTE = 60_000;
const DAY = 86_400_000;

export const SETTINGS = {
  "gateway.host": setting({
    variable: "TIDEMARK_GATEWAY_HOST",
    kind: "text",
    default: "127.0.0.1",
    help: "address that the gateway listens on",
  }),
  "gateway.port": setting({
    variable: "TIDEMARK_GATEWAY_PORT",
    kind: "whole",
    default: 7070,
    help: "port of the gateway; 0 takes a free one",
    range: PORT,
  }),
  "gateway.reflection": setting({
    variable: "TIDEMARK_GATEWAY_REFLECTION",
    kind: "boolean",
    default: true,
    help: "whether clients may ask the gateway for its schema",
  }),
  "gateway.maxEventBytes": setting({
    variable: "TIDEMARK_MAX_EVENT_BYTES",
    kind: "bytes",
    default: 256 * KIB,
    help: "size of one encoded event",
    // A record batch, and a dead letter with its commit, must fit into a message of 1 MiB.
    range: { min: KIB, max: 768 * KIB },
  }),
  "gateway.maxBatchEvents": setting({
    variable: "TIDEMARK_MAX_BATCH_EVENTS",
    kind: "whole",
    default: 10_000,
    help: "events of one PublishBatch request",
    range: { min: 1, max: 1_000_000 },
  }),
  "gateway.maxRequestBytes": setting({
    variable: "TIDEMARK_MAX_REQUEST_BYTES",
    kind: "bytes",
    default: 4096 * KIB,
    help: "size of one request",
    range: { min: KIB, max: 1024 * 1024 * KIB },
  }),
  "metrics.host": setting({
    variable: "TIDEMARK_METRICS_HOST",
    kind: "text",
    default: "127.0.0.1",
    help: "address that metrics are served on",
  }),
  "metrics.port": setting({
    variable: "TIDEMARK_METRICS_PORT",
    kind: "whole",
    default: 7071,
    help: "port of the gateway's metrics; workers take those after it; 0 takes free ones",
    range: PORT,
  }),
  workers: setting({
    variable: "TIDEMARK_WORKERS",
    kind: "whole",
    default: undefined,
    help: "worker processes; by default one for each CPU core",
    range: { min: 1, max: 1024 },
  }),
  "nats.url": setting({
    variable: "TIDEMARK_NATS_URL",
    kind: "url",
    default: undefined,
    help: "NATS server to use; by default Tidemark runs its own",
    protocols: ["nats:", "tls:"],
  }),
  "nats.port": setting({
    variable: "TIDEMARK_NATS_PORT",
    kind: "whole",
    default: 0,
    help: "port of Tidemark's own NATS server; 0 takes a free one at each start",
    range: PORT,
  }),
  "nats.requireFsync": setting({
    variable: "TIDEMARK_NATS_REQUIRE_FSYNC",
    kind: "boolean",
    default: true,
    help: "refuse a NATS server that acknowledges before its disk does",
  }),
  "redis.url": setting({
    variable: "TIDEMARK_REDIS_URL",
    kind: "url",
    default: undefined,
    help: "Redis server to use; by default Tidemark runs its own",
    protocols: ["redis:", "rediss:"],
  }),
  "redis.port": setting({
    variable: "TIDEMARK_REDIS_PORT",
    kind: "whole",
    default: 0,
    help: "port of Tidemark's own Redis server; 0 takes a free one at each start",
    range: PORT,
  }),
  dataDir: setting({
    variable: "TIDEMARK_DATA_DIR",
    kind: "text",
    default: ".tidemark",
    help: "folder of all data; relative to the configuration file, or to where the variable is set",
  }),
  snapshotEvery: setting({
    variable: "TIDEMARK_SNAPSHOT_EVERY",
    kind: "duration",
    default: 5000,
    help: "how often workers save their state to Redis",
    range: { min: 100, max: DAY },
  }),
  compactEvery: setting({
    variable: "TIDEMARK_COMPACT_EVERY",
    kind: "duration",
    default: 10 * MINUTE,
    help: "how often workers look at the logs of compacted topics",
    range: { min: 1000, max: DAY },
  }),
  "retention.results": setting({
    variable: "TIDEMARK_RESULTS_RETENTION",
    kind: "duration",
    default: DAY,
    help: "how long the stream of results keeps them",
    range: { min: MINUTE, max: 36_500 * DAY },
  }),
  "retention.deadLetters": setting({
    variable: "TIDEMARK_DEAD_LETTERS_RETENTION",
    kind: "duration",
    default: 14 * DAY,
    help: "how long dead letters are kept",
    range: { min: MINUTE, max: 36_500 * DAY },
  }),
  logLevel: setting({
    variable: "TIDEMARK_LOG_LEVEL",
    kind: "level",
    default: "info",
    help: "debug, info, warn or error",
  }),
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingKey = keyof typeof SETTINGS;
type ValueOf<Key extends SettingKey> = Kinds[(typeof SETTINGS)[Key]["kind"]];

/** Variables that are no settings of a running system; read where they are needed. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  TIDEMARK_CONFIG: "configuration file, instead of tidemark.config.ts in the working folder",
  TIDEMARK_GATEWAY: "host:port of the gateway that commands talk to",
  TIDEMARK_NATS_MONITOR_URL: "monitoring endpoint of the server at TIDEMARK_NATS_URL",
  TIDEMARK_CACHE_DIR:
    "folder of downloads for all projects; by default tidemark in ~/.cache or XDG_CACHE_HOME",
  TIDEMARK_BIN_DIR: "folder of downloaded servers; by default bin in the cache folder",
  TIDEMARK_LOG_FORMAT: "json or text",
  TIDEMARK_DEBUG: "print stacks of errors",
  TIDEMARK_PROPERTY_RUNS: "how often tests try each property",
  TIDEMARK_PROPERTY_SEED: "seed of their random input, to repeat a run",
};

const checkUrl = (
  text: string | undefined,
  path: string,
  mistakes: Mistakes,
  protocols: readonly string[],
): string | undefined => {
  if (text === undefined) return undefined;
  const wanted = `must be a URL such as "${protocols[0]}//127.0.0.1:${protocols[0] === "nats:" ? 4222 : 6379}"`;
  if (!URL.canParse(text) || new URL(text).host === "") return mistakes.add(path, wanted);
  const { protocol } = new URL(text);
  // Not the text: it may hold a password.
  if (!protocols.includes(protocol)) return mistakes.add(path, `${wanted}, not ${protocol}//...`);
  return text;
};

/** Reads a value of any origin; text from the environment is first read as what the setting is. */
export const readSetting = <Key extends SettingKey>(
  key: Key,
  value: unknown,
  path: string,
  mistakes: Mistakes,
): ValueOf<Key> | undefined => {
  const {
    kind,
    range = { min: 0, max: Number.MAX_SAFE_INTEGER },
    protocols = [],
  }: Setting = SETTINGS[key];
  const read = (): unknown => {
    switch (kind) {
      case "text": {
        const text = mistakes.text(value, path);
        return text === "" ? mistakes.add(path, "is empty") : text;
      }
      case "url":
        return checkUrl(mistakes.text(value, path), path, mistakes, protocols);
      case "boolean":
        return mistakes.boolean(value, path);
      case "whole":
        return mistakes.whole(value, path, range);
      case "bytes":
        return mistakes.bytes(value, path, range);
      case "duration":
        return mistakes.duration(value, path, range);
      case "level":
        return mistakes.oneOf(value, path, ["debug", "info", "warn", "error"]);
    }
  };
  return read() as ValueOf<Key> | undefined;
};

/** Text of a variable as the value that a file would hold. */
export const fromVariable = (key: SettingKey, text: string): unknown => {
  const { kind }: Setting = SETTINGS[key];
  const trimmed = text.trim();
  const isNumber = /^-?\d[\d_]*(\.\d+)?$/.test(trimmed);
  if (isNumber && (kind === "whole" || kind === "bytes" || kind === "duration")) {
    return Number(trimmed.replaceAll("_", ""));
  }
  if (kind !== "boolean") return text;
  if (/^(true|1|yes|on)$/i.test(trimmed)) return true;
  return /^(false|0|no|off)$/i.test(trimmed) ? false : text;
};

export const defaultOf = <Key extends SettingKey>(key: Key): ValueOf<Key> | undefined =>
  (key === "workers" ? availableParallelism() : SETTINGS[key].default) as ValueOf<Key> | undefined;

/** A default as the documentation shows it. */
export const printDefault = (key: SettingKey): string => {
  const { kind, default: value }: Setting = SETTINGS[key];
  if (value === undefined) return "";
  if (kind === "duration") return formatDuration(Number(value));
  if (kind !== "bytes") return String(value);
  const kib = Number(value) / KIB;
  return kib % KIB === 0 ? `${kib / KIB} MiB` : `${kib} KiB`;
};
