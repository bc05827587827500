/**
 * `tidemark replay PROJECTION`: builds the next version from the first event of the log, beside the
 * live one, and compares every result. What it built is kept only with `--promote`.
 */
import { join } from "node:path";
import { Clock, Effect, Layer } from "effect";
import type { BuildProgress, BuiltVersion } from "../../../actors/replay/build-version.ts";
import type { Comparison } from "../../../actors/replay/compare-results.ts";
import type { Differences, TooManyDifferences } from "../../../actors/replay/differences.ts";
import { makeReplay, type Replay } from "../../../actors/replay/replay.ts";
import type { ProjectionPlan } from "../../../projections/definition/plan.ts";
import { valueToJson } from "../../../proto/result-json.ts";
import type { Result } from "../../../proto/gen/tidemark/v1/result.ts";
import { loadConfig } from "../../config/load.ts";
import { Faults, MemoryBroker, memorySnapshotStore } from "../../memory/index.ts";
import { natsLayer } from "../../nats/index.ts";
import { loadPlans } from "../../processes/plans.ts";
import { RUNNING_CONFIG_FILE, loadRunningConfig } from "../../processes/running-config.ts";
import type { RunFile } from "../../processes/run-file.ts";
import { CliError, EXIT_FAILED } from "../cli-error.ts";
import { GatewayClient } from "../gateway-client.ts";
import { untilGatewayHasRead } from "../gateway-position.ts";
import type { ReplayFlags, Run } from "../program.ts";
import { findSystem, nothingRuns } from "../running-system.ts";
import { bytes, count, counted, duration, time } from "../terminal/format.ts";
import { Progress } from "../terminal/progress.ts";
import type { Output, Terminal } from "../terminal/terminal.ts";
import { systemLogs } from "./start.ts";

const EXAMPLES_SHOWN = 5;

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error });

/** The projection as it is defined now: by --config, else as the running system has it. */
const planOf = (projection: string, flags: ReplayFlags, run: RunFile) =>
  Effect.gen(function* () {
    const config = yield* attempt(() =>
      flags.config === undefined
        ? loadRunningConfig(join(run.dataDir, RUNNING_CONFIG_FILE))
        : loadConfig({ config: flags.config }),
    );
    const { projections } = yield* loadPlans(config);
    const plan = projections.find(({ definition }) => definition.name === projection);
    if (plan !== undefined) return plan;
    const names = projections.map(({ definition }) => definition.name).join(", ");
    return yield* Effect.fail(
      new CliError(`there is no projection ${projection}`, { hint: `There are: ${names}.` }),
    );
  });

/** How far a build is. One that keys its events anew reads several logs, each of which is there after the one before. */
export class ShownBuild {
  readonly #output: Output;
  readonly #now: () => number;
  #progress: Progress | undefined;
  #label = "";
  /** Record batches of the logs before, and up to the end of this one. */
  #before = 0;
  #total = 0;

  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  update({ phase, records, recordsTotal }: BuildProgress): void {
    // How much there is to read is known only when the logs are open.
    if (recordsTotal === 0) return;
    const label = phase === "rekeying" ? "Re-keying" : "Replaying";
    if (label !== this.#label || recordsTotal !== this.#total) {
      this.finish();
      if (this.#progress !== undefined) this.#before = records;
      this.#label = label;
      this.#total = recordsTotal;
      this.#progress = new Progress({
        output: this.#output,
        label,
        unit: "record batches",
        total: recordsTotal - this.#before,
        now: this.#now,
      });
    }
    this.#progress!.update(records - this.#before);
  }

  finish(): void {
    this.#progress?.finish();
  }
}

interface Built {
  readonly version: BuiltVersion;
  readonly ms: number;
}

const build = (plan: ProjectionPlan, { err }: Terminal) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock;
    const now = () => clock.currentTimeMillisUnsafe();
    const shown = new ShownBuild(err, now);
    const replay = yield* makeReplay({ plan, onProgress: (step) => shown.update(step) });
    const startedAt = now();
    const version = yield* replay.build;
    shown.finish();
    const built: Built = { version, ms: now() - startedAt };
    return { replay, built };
  });

/** All current results of a version, in order. */
const resultsOf =
  (client: Pick<GatewayClient, "listResults">, projection: string) => (version: number) =>
    client.listResults({ projection, keyPrefix: "", from: undefined, to: undefined, version });

const compare = (
  replay: Replay,
  { version }: Built,
  projection: string,
  client: GatewayClient,
  run: RunFile,
) =>
  Effect.gen(function* () {
    yield* untilGatewayHasRead(run, version.resultsSequence);
    return yield* replay.compare(version, resultsOf(client, projection));
  });

/** What subscribers of subjects are to be told, and the same for who promotes. */
export const findDifferences = (
  replay: Pick<Replay, "differences">,
  { resultsSequence }: Pick<BuiltVersion, "resultsSequence">,
  projection: string,
  client: Pick<GatewayClient, "listResults">,
  run: RunFile,
) =>
  Effect.gen(function* () {
    const comparedAt = yield* untilGatewayHasRead(run, resultsSequence);
    const found = yield* replay.differences(comparedAt, resultsOf(client, projection));
    return "limitBytes" in found
      ? { differences: undefined, inWords: tooMany(found, projection) }
      : { differences: found, inWords: toldOf(found, projection) };
  });

const shownValues = (result: Result | undefined): string =>
  result === undefined
    ? "nothing"
    : result.values.map(({ name, value }) => `${name} ${valueToJson(value)}`).join(", ");

/** What the comparison found, in words. */
const renderComparison = (comparison: Comparison | undefined): string => {
  if (comparison === undefined) {
    return "The definition has changed, so the results are not compared with the live ones.\n";
  }
  const { equal, newer, differences, examples } = comparison;
  const lines = examples.slice(0, EXAMPLES_SHOWN).map(({ key, windowStart, live, built }) => {
    const place = `${key} ${time(windowStart)}`;
    return `  ${place}: live has ${shownValues(live)}; the replay has ${shownValues(built)}\n`;
  });
  return (
    `${count(equal)} results are equal, ${count(differences)} differ, ` +
    `${count(newer)} were published since.\n${lines.join("")}`
  );
};

export const replay = (projection: string, flags: ReplayFlags, terminal: Terminal): Run =>
  Effect.gen(function* () {
    const { run } = yield* attempt(() => findSystem(flags, process.env));
    if (run === undefined) return yield* Effect.fail(nothingRuns("--data-dir folder"));
    const plan = yield* planOf(projection, flags, run);
    const services = Layer.mergeAll(
      natsLayer({ url: flags.nats ?? run.natsUrl, name: "tidemark-replay" }),
      // A replay starts from the log alone.
      memorySnapshotStore.pipe(Layer.provide(Layer.mergeAll(MemoryBroker.layer(), Faults.layer()))),
    );
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new GatewayClient(flags.gateway ?? run.gateway)),
      (opened) => Effect.sync(() => opened.close()),
    );
    const work = Effect.gen(function* () {
      const { replay: made, built } = yield* build(plan, terminal);
      const { live, next } = made.versions;
      const { err } = terminal;
      const { events } = built.version;
      err.write(
        `Version ${next} is built: ${count(events)} events in ${duration(built.ms)} ` +
          `(${count((events / built.ms) * 1_000)}/s). Comparing it with version ${live}.\n`,
      );
      const comparison = yield* compare(made, built, projection, client, run);
      err.write(renderComparison(comparison));
      const same = (comparison?.differences ?? 0) === 0;
      const promoted = flags.promote === true && (same || flags.force === true);
      const told = promoted
        ? yield* findDifferences(made, built.version, projection, client, run)
        : undefined;
      if (promoted) yield* made.promote(flags.force === true, told?.differences);
      else yield* made.abandon;
      err.write(`${outcome(promoted, same, live, next)}${told?.inWords ?? ""}`);
      if (flags.json === true) {
        const { equal, newer, differences } = comparison ?? {};
        const summary = { projection, live, version: next, events, ms: built.ms, promoted };
        const { changed, retracted } = told?.differences ?? {};
        terminal.out.write(
          `${JSON.stringify({ ...summary, equal, newer, differences, changed, retracted })}\n`,
        );
      }
      return same || promoted ? 0 : EXIT_FAILED;
    });
    return yield* work.pipe(Effect.provide(services));
  }).pipe(Effect.scoped, Effect.provide(systemLogs({ logLevel: "warn" }, terminal)));

const tooMany = ({ limitBytes }: TooManyDifferences, projection: string): string =>
  `More than ${bytes(limitBytes)} of results differ, so that projections.${projection}.> is not told of them:\n` +
  "whoever follows it must load the results from the gateway anew (docs/SUBJECTS.md).\n";

const toldOf = ({ changed, retracted }: Differences, projection: string): string => {
  if (changed + retracted === 0) return "All results stand as they were published.\n";
  return (
    `projections.${projection}.> is told what that changes: ${counted(changed, "result")} new or different, ` +
    `${count(retracted)} retracted.\n`
  );
};

const outcome = (promoted: boolean, same: boolean, live: number, next: number): string => {
  if (promoted) return `Version ${next} is now the active one.\n`;
  if (same) return `Version ${live} stays the active one; --promote would switch.\n`;
  return `Version ${live} stays the active one; --promote --force would switch all the same.\n`;
};
