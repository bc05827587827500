/**
 * The settings of a running system, every default filled in. `tidemark.config.ts` and the
 * environment are two ways to give them; `load.ts` turns either into this or into an error that
 * names the key.
 */
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";

export interface Config {
  readonly topics: readonly TopicDefinition[];
  readonly projections: readonly ProjectionDefinition[];
  readonly gateway: {
    readonly host: string;
    /** 0 takes a free port. */
    readonly port: number;
    readonly reflection: boolean;
    /** Size of one encoded event. */
    readonly maxEventBytes: number;
    readonly maxBatchEvents: number;
    readonly maxRequestBytes: number;
  };
  /** Prometheus text at http://host:port/metrics; workers take the ports after it. */
  readonly metrics: { readonly host: string; readonly port: number };
  /** Worker processes; each runs partitions p with p mod workers equal to its index. */
  readonly workers: number;
  /** `url` of an existing server; undefined runs our own as a child, on a free port. */
  readonly nats: { readonly url: string | undefined; readonly requireFsync: boolean };
  readonly redis: { readonly url: string | undefined };
  /** Where our own servers, the query store and downloaded binaries live. Absolute. */
  readonly dataDir: string;
  readonly snapshotEveryMs: number;
  readonly retention: { readonly resultsMs: number; readonly deadLettersMs: number };
  readonly logLevel: "debug" | "info" | "warn" | "error";
}
