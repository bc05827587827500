/** The figures as a table for people and as one line of JSON. */
import { availableParallelism, cpus, totalmem } from "node:os";
import { bytes, count } from "../cli/terminal/format.ts";
import { renderTable } from "../cli/terminal/table.ts";
import type { Paint } from "../cli/terminal/colour.ts";
import type { CpuUse } from "./cpu.ts";
import type { Latency } from "./latency.ts";
import type { ReplayRate } from "./replay-rate.ts";
import type { Throughput } from "./throughput.ts";

export interface Figures {
  readonly seed: number;
  readonly fsync: boolean;
  readonly workers: number;
  readonly throughput: readonly Throughput[];
  readonly latency: Latency;
  readonly replay: ReplayRate;
}

export const isChecked = ({ throughput, latency, replay }: Figures): boolean =>
  throughput.every(({ windows, wrongWindows }) => windows > 0 && wrongWindows === 0) &&
  latency.lost === 0 &&
  replay.differences === 0 &&
  replay.equalResults > 0;

const perSecond = (events: number, ms: number): number => Math.round((events / ms) * 1_000);

const shownCpu = (cpu: CpuUse): string =>
  Object.entries(cpu)
    .map(([name, seconds]) => `${name} ${seconds === undefined ? "?" : seconds.toFixed(1)}`)
    .join(", ");

const ms = (value: number): string => `${value.toFixed(1)} ms`;

export const machine = (): string =>
  `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? "an unknown CPU"}, ` +
  `${bytes(totalmem())}, Node ${process.versions.node}`;

export const renderFigures = (figures: Figures, paint: Paint): string => {
  const { throughput, latency, replay, fsync, seed, workers } = figures;
  const right = (header: string) => ({ header, align: "right" as const });
  const load = renderTable(
    [
      { header: "gRPC to committed result" },
      right("events"),
      right("bytes/event"),
      right("acked/s"),
      right("to results/s"),
      { header: "CPU seconds" },
      { header: "checked" },
    ],
    throughput.map((row) => [
      row.eventsPerMessage === 1
        ? "unpacked: 1 event a message"
        : `packed: ${row.eventsPerMessage} a message`,
      count(row.events),
      row.bytesPerEvent.toFixed(0),
      count(perSecond(row.events, row.acknowledgedMs)),
      count(perSecond(row.events, row.resultsMs)),
      shownCpu(row.cpu),
      row.wrongWindows === 0
        ? { text: `${count(row.windows)} windows right`, style: "green" }
        : { text: `${count(row.wrongWindows)} of ${count(row.windows)} WRONG`, style: "red" },
    ]),
    paint,
  );
  const probes =
    latency.lost === 0
      ? paint("green", `all of ${count(latency.probes)} probes seen`)
      : paint("red", `${count(latency.lost)} of ${count(latency.probes)} probes LOST`);
  const same =
    replay.differences === 0
      ? paint("green", `${count(replay.equalResults)} results equal`)
      : paint("red", `${count(replay.differences)} results DIFFER`);
  return [
    `${machine()}; ${workers} workers; fsync ${fsync ? "before each acknowledgement" : "off"}; seed ${seed}`,
    "",
    load,
    `${paint("dim", "gRPC send to update at a subscriber")}, at ${count(latency.eventsPerSecond)} events/s offered ` +
      `(${count(Math.round(latency.acknowledgedPerSecond))} taken) for ${latency.seconds} s:`,
    `  p50 ${ms(latency.p50Ms)}, p99 ${ms(latency.p99Ms)}, max ${ms(latency.maxMs)}; ${probes}`,
    `  CPU seconds: ${shownCpu(latency.cpu)}`,
    "",
    `${paint("dim", "replay")} of ${count(replay.events)} events, one process: ` +
      `${count(perSecond(replay.events, replay.replayMs))} events/s; ${same}`,
    `  control, reading the same log and dropping it: ` +
      `${count(perSecond(replay.events, replay.controlMs))} events/s; ` +
      `replay is at ${Math.round((replay.controlMs / replay.replayMs) * 100)} % of it`,
    `  CPU seconds: replay ${shownCpu(replay.cpu)}; control ${shownCpu(replay.controlCpu)}`,
    "",
  ].join("\n");
};

export const figuresJson = (figures: Figures): string =>
  JSON.stringify({ checked: isChecked(figures), machine: machine(), ...figures });
