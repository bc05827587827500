/** A system for the benchmark alone: its own servers, in a folder that is removed at the end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Effect } from "effect";
import type { Scope } from "effect";
import { loadConfig } from "../config/load.ts";
import { connect } from "../nats/connection.ts";
import type { Link } from "../nats/link.ts";
import { startSystem, type RunningSystem } from "../processes/system.ts";
import type { ProcessGroup } from "./cpu.ts";

export interface BenchSystem {
  readonly system: RunningSystem;
  readonly link: Link;
  readonly groups: readonly ProcessGroup[];
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error });

export const startBenchSystem = (
  workers: number | undefined,
): Effect.Effect<BenchSystem, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const dataDir = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "tidemark-bench-"))),
      (dir) => Effect.promise(() => rm(dir, { recursive: true, force: true })),
    );
    const config = yield* attempt(() =>
      loadConfig({
        files: [resolve(import.meta.dirname, "bench-projections.ts")],
        overrides: { dataDir, workers, "gateway.port": 0, "metrics.port": 0, logLevel: "warn" },
      }),
    );
    const system = yield* startSystem({
      config,
      output: { file: join(dataDir, "tidemark.log") },
    });
    const link = yield* connect({ url: system.run.natsUrl, name: "tidemark-bench" });
    const pidsOf = (prefix: string): readonly number[] =>
      system
        .children()
        .filter(({ name }) => name.startsWith(prefix))
        .map(({ life }) => life()!.pid);
    const groups = [
      { name: "generator", pids: [process.pid] },
      { name: "gateway", pids: pidsOf("gateway") },
      { name: "workers", pids: pidsOf("worker") },
      { name: "broker", pids: pidsOf("nats-server") },
    ];
    return { system, link, groups };
  });
