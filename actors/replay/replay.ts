/**
 * The engine's part of `tidemark replay`: builds the next version of a projection beside the live one,
 * holds the two against each other, and makes the new one the active one.
 *
 * R1. The live version is never touched: other subjects, another epoch, readers of its own.
 * R2. Promotion is one message under compare-and-set; workers, relays and readers follow it.
 */
import { Effect } from "effect";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { DEFAULT_SETTINGS } from "../task/settings.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { Ports } from "../worker/partition-owner.ts";
import { rekeyedTopicOf, withStages } from "../worker/task-specs.ts";
import { buildVersion } from "./build-version.ts";
import type { BuildProgress, BuiltVersion } from "./build-version.ts";
import { compareResults } from "./compare-results.ts";
import type { Comparison } from "./compare-results.ts";
import { findDifferences } from "./differences.ts";
import type { Differences, TooManyDifferences } from "./differences.ts";
import { ReplayFailed } from "./errors.ts";
import type { PromotedElsewhere } from "./errors.ts";
import { newReplayLife, stepReplay } from "./replay-machine.ts";
import type { ReplayEvent, ReplayState } from "./replay-machine.ts";
import { findVersions, promote, subjectsOf } from "./versions.ts";
import type { Versions } from "./versions.ts";
import { untilAvailable } from "../commit/until-available.ts";

export interface ReplayOptions {
  readonly plan: ProjectionPlan;
  readonly settings?: Partial<EngineSettings>;
  /** Called very often; draw at your own pace. */
  readonly onProgress?: (progress: BuildProgress) => void;
}

export class Replay {
  readonly versions: Versions;
  readonly #plan: ProjectionPlan;
  readonly #ports: Ports;
  readonly #settings: EngineSettings;
  readonly #onProgress: (progress: BuildProgress) => void;
  #life = newReplayLife();

  constructor(options: ReplayOptions, versions: Versions, ports: Ports) {
    this.versions = versions;
    this.#plan = options.plan;
    this.#ports = ports;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#onProgress = options.onProgress ?? (() => {});
  }

  get state(): ReplayState {
    return this.#life.state;
  }
  /** Why it failed. */
  get reason(): string | undefined {
    return this.#life.reason;
  }

  /** Reads the log to where it ended when this began. */
  get build(): Effect.Effect<BuiltVersion, ReplayFailed> {
    return buildVersion({
      plan: this.#plan,
      version: this.versions.next,
      routing: this.versions.routing,
      ports: this.#ports,
      settings: this.#settings,
      onProgress: this.#onProgress,
    }).pipe(
      Effect.tap(() => this.#step({ type: "built" })),
      Effect.tapError((error) => this.#step({ type: "fail", reason: error.message })),
    );
  }

  /**
   * Holds every result against the live one. `readResults` gives the current results of a version by
   * key and window start, as of `built.resultsSequence` or later. When the definition has changed
   * there is nothing to hold against: undefined.
   */
  compare(
    built: BuiltVersion,
    readResults: (version: number) => AsyncIterable<Result>,
    onCompared?: (compared: number) => void,
  ): Effect.Effect<Comparison | undefined, ReplayFailed> {
    const { live, next, definitionChanged } = this.versions;
    if (definitionChanged) return Effect.as(this.#step({ type: "incomparable" }), undefined);
    return Effect.tryPromise({
      try: () => compareResults(readResults(live), readResults(next), built, onCompared),
      catch: (error) => this.#failed(error instanceof Error ? error.message : String(error)),
    }).pipe(
      Effect.tap(({ differences }) => this.#step({ type: "compared", differences })),
      Effect.tapError((error) => this.#step({ type: "fail", reason: error.message })),
    );
  }

  /**
   * How the new table of results differs from the live one, for `promote` to tell subscribers. Both are
   * read as `compare` reads them, but as of `comparedAt` or later.
   */
  differences(
    comparedAt: number,
    readResults: (version: number) => AsyncIterable<Result>,
  ): Effect.Effect<Differences | TooManyDifferences, ReplayFailed> {
    const { live, next } = this.versions;
    return Effect.tryPromise({
      try: () => findDifferences(readResults(live), readResults(next), comparedAt),
      catch: (error) => this.#failed(error instanceof Error ? error.message : String(error)),
    });
  }

  /**
   * Makes the new version the active one; returns the RESULTS sequence of the promotion. Refused for
   * one that differs unless `anyway` is set. Without `differences` subjects are not told of them.
   */
  promote(anyway: boolean, differences?: Differences): Effect.Effect<number, PromotedElsewhere> {
    const next = stepReplay(this.#life, { type: "promote", anyway });
    return promote(
      this.#ports.results,
      this.#plan.definition.name,
      this.versions,
      differences,
    ).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          this.#life = next;
        }),
      ),
    );
  }

  /** Gives the new version up and deletes its commits, but for the last of each task. */
  get abandon(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* this.#step({ type: "abandon" });
      const { results } = this.#ports;
      for (const subject of subjectsOf(this.#plan, this.versions.next)) {
        const last = yield* untilAvailable(results.last(subject));
        if (last !== undefined) yield* untilAvailable(results.trim(subject, last.sequence));
      }
      if (this.versions.routing !== this.versions.next) return;
      for (const plan of withStages([this.#plan])) {
        if (!plan.rekeyed) continue;
        const { name, partitions } = rekeyedTopicOf(plan, this.versions.routing);
        yield* untilAvailable(this.#ports.rekeyed.remove(name, partitions));
      }
    });
  }

  #failed(message: string): ReplayFailed {
    return new ReplayFailed({
      projection: this.#plan.definition.name,
      version: this.versions.next,
      message,
    });
  }

  #step(event: ReplayEvent): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#life = stepReplay(this.#life, event);
    });
  }
}

/** A replay of the projection as it is defined now, into the next version that was never used. */
export const makeReplay = Effect.fn("makeReplay")(function* (
  options: ReplayOptions,
): Effect.fn.Return<Replay, never, EventLog | RekeyLog | ResultLog | SnapshotStore> {
  const results = yield* ResultLog;
  const ports = {
    events: yield* EventLog,
    results,
    snapshots: yield* SnapshotStore,
    rekeyed: yield* RekeyLog,
  };
  return new Replay(options, yield* findVersions(results, options.plan), ports);
});
