/**
 * What `tidemark.config.ts` says: `export default defineConfig({ ... })`. Everything may be left out;
 * docs/CONFIGURATION.md lists the defaults. Reading it is `infra/config`'s part.
 */
import type { ByteSize } from "./byte-size.ts";
import type { ProjectionDefinition, TopicDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";

export interface ConfigInput {
  /** Topics without a projection, and those of projections given as plain data. */
  readonly topics?: readonly TopicDefinition[];
  /** Default: those of `*.projection.ts` and `projections/*.ts`, else the shipped ones. */
  readonly projections?: readonly ProjectionDefinition[];
  readonly gateway?: {
    readonly host?: string;
    /** 0 takes a free port. */
    readonly port?: number;
    readonly reflection?: boolean;
    readonly maxEventBytes?: ByteSize;
    readonly maxBatchEvents?: number;
    readonly maxRequestBytes?: ByteSize;
  };
  readonly metrics?: { readonly host?: string; readonly port?: number };
  readonly workers?: number;
  /** Without a URL Tidemark runs a server of its own. */
  readonly nats?: { readonly url?: string; readonly requireFsync?: boolean };
  /** Without a URL Tidemark runs a server of its own. */
  readonly redis?: { readonly url?: string };
  /** Relative to the configuration file. */
  readonly dataDir?: string;
  readonly snapshotEvery?: Duration;
  readonly retention?: { readonly results?: Duration; readonly deadLetters?: Duration };
  readonly logLevel?: "debug" | "info" | "warn" | "error";
}

/** Gives the configuration back; it is there for its type. */
export const defineConfig = (config: ConfigInput): ConfigInput => config;
