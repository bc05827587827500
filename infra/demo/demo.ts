/**
 * The demo: the whole system on its own servers, three million real flights through the gateway, and
 * every result compared with what SQL says of the same file.
 */
import { join, resolve } from "node:path";
import { Clock, Effect } from "effect";
import type { Scope } from "effect";
import { CliError, EXIT_FAILED } from "../cli/cli-error.ts";
import { banner, systemLogs } from "../cli/commands/start.ts";
import { GatewayClient } from "../cli/gateway-client.ts";
import type { DemoFlags, Run } from "../cli/program.ts";
import { count, duration } from "../cli/terminal/format.ts";
import { Progress } from "../cli/terminal/progress.ts";
import { onlyErr, type Terminal } from "../cli/terminal/terminal.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { connect } from "../nats/connection.ts";
import type { Link } from "../nats/link.ts";
import { startSystem, type RunningSystem } from "../processes/system.ts";
import { awaitResults } from "./await-results.ts";
import { checkDeadLetters } from "./check-dead-letters.ts";
import { compareResults, type Comparison } from "./compare-results.ts";
import { prepareFolder } from "./demo-folder.ts";
import { EXPECTED_PROJECTIONS } from "./expected-results.ts";
import { openFlightFile, type FlightFile } from "./flight-file.ts";
import { OrderedPublisher } from "./ordered-publisher.ts";
import { allRight, renderReport, reportJson, type DemoReport } from "./report.ts";
import { Busiest } from "./sample.ts";
import { planSending, requestsOf, type SendingPlan } from "./sending-plan.ts";

const TOPIC = "flights";
const DATA_DIR = join(".tidemark", "demo");
const REQUESTS_IN_FLIGHT = 64;

const attempt = <A>(run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error });

/** The shipped flights projections, on free ports, in the demo's folder. */
const demoConfig = async (flags: DemoFlags): Promise<Config> => {
  const config = await loadConfig({
    files: [resolve(import.meta.dirname, "../../projections/flights/flights.ts")],
    overrides: {
      dataDir: resolve(flags.dataDir ?? DATA_DIR),
      workers: flags.workers,
      "gateway.port": 0,
      "metrics.port": 0,
    },
  });
  return config;
};

interface Sent {
  readonly ms: number;
  readonly retries: number;
}

const send = (
  file: FlightFile,
  plan: SendingPlan,
  address: string,
  terminal: Terminal,
): Effect.Effect<Sent, unknown> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock;
    const now = () => clock.currentTimeMillisUnsafe();
    const startedAt = now();
    const progress = new Progress({
      output: terminal.err,
      label: "Sending",
      unit: "events",
      total: plan.events,
      now,
    });
    const publisher = new OrderedPublisher({
      address,
      inFlightMax: REQUESTS_IN_FLIGHT,
      onStored: () => progress.update(publisher.stored),
      onRetry: (reason) => {
        progress.clear();
        terminal.err.write(`sending again what was not acknowledged: ${reason}\n`);
      },
    });
    yield* attempt(async (signal) => {
      signal.addEventListener("abort", () => publisher.close());
      for await (const request of requestsOf(file, plan)) await publisher.publish(request);
      await publisher.flush();
    }).pipe(Effect.ensuring(Effect.sync(() => publisher.close())));
    progress.finish();
    return { ms: now() - startedAt, retries: publisher.retries };
  });

const settle = (link: Link, system: RunningSystem, { err }: Terminal) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock;
    let shownAt = -Infinity;
    const seen = yield* awaitResults({
      link,
      plan: system.config,
      topic: TOPIC,
      run: system.run,
      nowMs: () => clock.currentTimeMillisUnsafe(),
      onProgress: (waiting) => {
        const now = clock.currentTimeMillisUnsafe();
        if (!err.isTerminal && now - shownAt < 2_000) return;
        shownAt = now;
        const text =
          `Waiting for results  ${count(waiting.tasks)} record batches behind, ` +
          `${count(waiting.merges)} partials to merge, ${count(waiting.deadLetters)} dead letters ` +
          `to relay, gateway ${count(waiting.gateway)} commits behind`;
        err.write(err.isTerminal ? `\r${text.slice(0, err.columns - 1)}\x1b[K` : `${text}\n`);
      },
    });
    if (err.isTerminal) err.write("\r\x1b[K");
    return seen;
  });

/** Calls back with how many have gone by. */
async function* counting<Item>(
  items: AsyncIterable<Item>,
  onItem: () => void,
): AsyncGenerator<Item> {
  for await (const item of items) {
    onItem();
    yield item;
  }
}

const compareAll = (
  file: FlightFile,
  address: string,
  { err }: Terminal,
): Effect.Effect<readonly Comparison[], unknown> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new GatewayClient(address)),
    (client) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock;
        const projections = yield* attempt(() => client.listProjections());
        const progress = new Progress({
          output: err,
          label: "Checking",
          unit: "windows",
          total: projections.reduce((sum, { active, results }) => sum + (active ? results : 0), 0),
          now: () => clock.currentTimeMillisUnsafe(),
        });
        let seen = 0;
        const samples: string[] = [];
        const comparisons: Comparison[] = [];
        for (const { name, results } of EXPECTED_PROJECTIONS) {
          const busiest = new Busiest();
          const actual = client.listResults({
            projection: name,
            keyPrefix: "",
            from: undefined,
            to: undefined,
            version: 0,
          });
          const watched = counting(busiest.watch(actual), () => progress.update(++seen));
          comparisons.push(yield* attempt(() => compareResults(name, results(file), watched)));
          samples.push(busiest.render(`Busiest windows of ${name}`, err.paint));
        }
        progress.finish();
        err.write(`\n${samples.join("\n")}`);
        return comparisons;
      }),
    (client) => Effect.sync(() => client.close()),
  );

const openedFile = (limit: number | undefined): Effect.Effect<FlightFile, unknown, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(() => openFlightFile(limit)),
    (file) => Effect.sync(() => file.close()),
  );

/** Sends, waits and checks; the system goes on. */
const demonstrate = (
  system: RunningSystem,
  file: FlightFile,
  plan: SendingPlan,
  repeated: boolean,
  terminal: Terminal,
): Effect.Effect<DemoReport, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, run } = system;
    const startedAt = yield* Clock.currentTimeMillis;
    const link = yield* connect({ url: run.natsUrl, name: "tidemark-demo" });
    const sent = yield* send(file, plan, run.gateway, terminal);
    const sentAt = yield* Clock.currentTimeMillis;
    const seen = yield* settle(link, system, terminal);
    const settledAt = yield* Clock.currentTimeMillis;
    const comparisons = yield* compareAll(file, run.gateway, terminal);
    const deadLetters = yield* checkDeadLetters(
      link,
      seen.deadLetters.reduce((total, { count: each }) => total + each, 0),
      plan.lateEvents,
      config.projections.map(({ name }) => name),
    );
    const endedAt = yield* Clock.currentTimeMillis;
    return {
      flights: plan.flights,
      events: plan.events,
      seed: plan.seed,
      repeated,
      fsync: config.nats.requireFsync,
      sendMs: sent.ms,
      settleMs: settledAt - sentAt,
      checkMs: endedAt - settledAt,
      totalMs: endedAt - startedAt,
      retries: sent.retries,
      restarts: system.children().reduce((total, child) => total + child.restarts(), 0),
      duplicates: seen.tasks
        .filter(({ kind }) => kind === "window")
        .reduce((total, { marker }) => total + marker.books.duplicate, 0),
      comparisons,
      deadLetters,
    };
  });

/** `tidemark demo` */
export const run = (flags: DemoFlags, real: Terminal): Run => {
  const terminal = onlyErr(real);
  const { err } = terminal;
  return Effect.gen(function* () {
    const config = yield* attempt(() => demoConfig(flags));
    const topic = config.topics.find(({ name }) => name === TOPIC)!;
    const file = yield* openedFile(flags.events);
    const plan = planSending(file, topic, config.projections, flags.seed);
    const folder = yield* attempt(async () =>
      prepareFolder({
        dataDir: config.dataDir,
        flights: plan.flights,
        seed: plan.seed,
        fresh: flags.fresh === true,
        now: Date.now(),
        dedupeHorizonMs: topic.dedupeHorizonMs,
      }),
    );
    if (folder.removed !== undefined) {
      err.write(`The earlier run in ${config.dataDir} is removed: ${folder.removed}.\n`);
    }
    if (folder.repeated) err.write("The same events are sent again: no number may change.\n");

    const startedAt = yield* Clock.currentTimeMillis;
    err.write(`Starting nats-server, redis-server, a gateway and ${config.workers} workers.\n\n`);
    const logFile = join(config.dataDir, "tidemark.log");
    const system = yield* startSystem({ config, output: { file: logFile } });
    const readyAt = yield* Clock.currentTimeMillis;
    err.write(banner(system, err.paint));
    err.write(
      `Ready in ${duration(readyAt - startedAt)}. Sending ${count(plan.flights)} flights of 2001 in a ` +
        `seeded disorder (seed ${plan.seed}), with ${count(plan.lateEvents)} far-too-late events ` +
        `among them.\n\n`,
    );
    const report = yield* demonstrate(system, file, plan, folder.repeated, terminal).pipe(
      Effect.raceFirst(system.failure),
    );
    err.write(`\n${renderReport(report, err.paint)}`);
    if (flags.json === true) real.out.write(`${reportJson(report)}\n`);
    const code = allRight(report) ? 0 : EXIT_FAILED;
    if (flags.exit === true) return code;
    err.write(
      "\nStill serving. Try, in another terminal:\n" +
        `  npm run -s tidemark -- status --data-dir ${config.dataDir}\n` +
        `  npm run -s tidemark -- list departures-by-origin --key ORD --data-dir ${config.dataDir}\n` +
        "Ctrl-C drains and ends.\n",
    );
    return yield* system.failure;
  }).pipe(
    Effect.scoped,
    Effect.catchTag("ChildGaveUp" as never, (error: Error) =>
      Effect.fail(new CliError(error.message, { hint: "See the log in the data folder." })),
    ),
    Effect.provide(systemLogs({ logLevel: "warn" }, terminal)),
  ) as Run;
};
