/**
 * The settings of a running system, every default filled in. `tidemark.config.ts` and the
 * environment are two ways to give them; `load.ts` turns either into this or into an error that
 * names the key.
 */
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";

/** Where a projection that holds functions is found again: see `code-modules.ts`. */
export interface CodeOrigin {
  /** Absolute path of the file; SHIPPED_MODULE for a projection that comes with Tidemark. */
  readonly module: string;
  /** From the module's exports to the definition: ["default"], ["all", 2]. */
  readonly place: readonly (string | number)[];
  /** Of the definition as it was read: `writtenDigest`. */
  readonly digest: string;
}

export const SHIPPED_MODULE = "tidemark";

export interface Config {
  readonly topics: readonly TopicDefinition[];
  readonly projections: readonly ProjectionDefinition[];
  /** By name, of the projections that hold functions. */
  readonly code: Readonly<Record<string, CodeOrigin>>;
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
  /** `url` of an existing server; undefined runs our own as a child, on `port`; 0 takes a free one. */
  readonly nats: {
    readonly url: string | undefined;
    readonly port: number;
    readonly requireFsync: boolean;
  };
  readonly redis: { readonly url: string | undefined; readonly port: number };
  /** Where our own servers, the query store and downloaded binaries live. Absolute. */
  readonly dataDir: string;
  readonly snapshotEveryMs: number;
  readonly compactEveryMs: number;
  readonly retention: { readonly resultsMs: number; readonly deadLettersMs: number };
  readonly logLevel: "debug" | "info" | "warn" | "error";
}
