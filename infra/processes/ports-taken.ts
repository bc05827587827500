/**
 * Ports of a system that others hold. It is looked at before anything is started: a gateway that finds
 * its port taken finds it when servers, streams and workers are there already.
 *
 * P1. Only a port that is in use is told here; what else keeps a process from listening it says itself.
 */
import { Effect, Schema } from "effect";
import type { Config } from "../config/config.ts";
import { isTaken } from "../servers/ports.ts";
import { readRunFile } from "./run-file.ts";

const Other = Schema.Struct({ pid: Schema.Int, dataDir: Schema.String });

export class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", {
  port: Schema.Int,
  who: Schema.Literals(["gateway", "metrics"]),
  /** The system that runs on the same data folder; of others nobody knows. */
  other: Schema.optional(Other),
}) {
  override get message(): string {
    const { port, who, other } = this;
    const listener = who === "gateway" ? "the gateway" : "a server of metrics";
    const known =
      other === undefined
        ? "another Tidemark may be running"
        : `another Tidemark is running, process ${other.pid} on ${other.dataDir}`;
    const flag = who === "gateway" ? "--port" : "--metrics-port";
    return (
      `port ${port} is in use, so that ${listener} cannot listen on it: ${known}. ` +
      `End what holds it, or choose another port with ${flag} (${who}.port); 0 takes a free one`
    );
  }
}

/** Of the gateway and of the row of metrics: gateway, workers, system. */
export const refuseTakenPorts = Effect.fnUntraced(function* ({
  gateway,
  metrics,
  workers,
  dataDir,
}: Pick<Config, "gateway" | "metrics" | "workers" | "dataDir">): Effect.fn.Return<void, PortTaken> {
  const row = metrics.port === 0 ? 0 : workers + 2;
  const wanted = [
    ...(gateway.port === 0 ? [] : [{ who: "gateway" as const, ...gateway }]),
    ...Array.from({ length: row }, (_, index) => ({
      who: "metrics" as const,
      host: metrics.host,
      port: metrics.port + index,
    })),
  ];
  for (const { who, host, port } of wanted) {
    if (!(yield* isTaken(host, port))) continue;
    const run = yield* Effect.promise(() => readRunFile(dataDir));
    const other = run && { other: { pid: run.pid, dataDir: run.dataDir } };
    return yield* Effect.fail(new PortTaken({ port, who, ...other }));
  }
});
