/**
 * `npm run bench`: throughput, latency and replay of a whole system on this machine, the load
 * generator included, each with its results checked. docs/BENCHMARKS.md says what the figures mean.
 */
import { Effect } from "effect";
import { EXIT_FAILED } from "../cli/cli-error.ts";
import { systemLogs } from "../cli/commands/start.ts";
import type { BenchFlags, Run } from "../cli/program.ts";
import { onlyErr, type Terminal } from "../cli/terminal/terminal.ts";
import { startBenchSystem } from "./bench-system.ts";
import { figuresJson, isChecked, renderFigures, type Figures } from "./figures.ts";
import { Load } from "./load.ts";
import { measureLatency } from "./latency.ts";
import { measureReplay } from "./replay-rate.ts";
import { measureThroughput, type Throughput } from "./throughput.ts";

const TOPIC = "bench";
const START_TIME = Date.UTC(2020, 0, 1);
const PACKED_EVENTS = 500;
/** An event a message costs some ten times as much: fewer of them. */
const UNPACKED_SHARE = 20;
/** Warms up compilers and connections; not counted. */
const WARM_UP_EVENTS = 100_000;
const LATENCY_SECONDS = 10;
const LATENCY_EVENTS_PER_SECOND = 100_000;

const measureAll = (flags: BenchFlags, terminal: Terminal) =>
  Effect.gen(function* () {
    const { err } = terminal;
    const bench = yield* startBenchSystem(flags.workers);
    const { partitions } = bench.system.config.topics[0]!;
    let startTime = START_TIME;
    let runs = 0;
    const nextLoad = () =>
      new Load({ topic: TOPIC, partitions, seed: flags.seed, startTime, run: `run${runs++}-` });

    const throughputOf = (events: number, eventsPerMessage: number) =>
      Effect.gen(function* () {
        const load = nextLoad();
        const options = { events, eventsPerMessage, startTime, output: err };
        const measured = yield* measureThroughput(bench, load, options);
        startTime = load.endTime;
        return measured;
      });
    err.write("Warming up.\n");
    yield* throughputOf(WARM_UP_EVENTS, PACKED_EVENTS);
    const throughput: Throughput[] = [];
    throughput.push(yield* throughputOf(flags.events, PACKED_EVENTS));
    throughput.push(yield* throughputOf(Math.ceil(flags.events / UNPACKED_SHARE), 1));

    // More than the machine can take would measure a queue.
    const best = (flags.events / throughput[0]!.resultsMs) * 1_000;
    const eventsPerSecond = Math.min(LATENCY_EVENTS_PER_SECOND, Math.floor(best / 2));
    err.write(`Latency at ${eventsPerSecond} events/s for ${LATENCY_SECONDS} s.\n`);
    const latency = yield* measureLatency(bench, nextLoad(), {
      eventsPerSecond,
      seconds: LATENCY_SECONDS,
    });
    err.write("Replay.\n");
    const replay = yield* measureReplay(bench, "readings");
    const figures: Figures = {
      seed: flags.seed,
      fsync: bench.system.config.nats.requireFsync,
      workers: bench.system.config.workers,
      throughput,
      latency,
      replay,
    };
    return figures;
  });

/** `tidemark bench` */
export const run = (flags: BenchFlags, real: Terminal): Run => {
  const terminal = flags.json === true ? onlyErr(real) : real;
  return Effect.gen(function* () {
    const figures = yield* measureAll(flags, terminal);
    terminal.out.write(`\n${renderFigures(figures, terminal.out.paint)}`);
    if (flags.json === true) real.out.write(`${figuresJson(figures)}\n`);
    return isChecked(figures) ? 0 : EXIT_FAILED;
  }).pipe(Effect.scoped, Effect.provide(systemLogs({ logLevel: "warn" }, terminal)));
};
