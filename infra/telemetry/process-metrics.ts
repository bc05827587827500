/** CPU, memory and event loop of this process, read when they are scraped and not before. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Effect } from "effect";
import type { Context, Scope } from "effect";
import { counter, gauge } from "./metric-names.ts";

export interface ProcessMonitor {
  readonly sample: (context: Context.Context<never>) => void;
}

export const monitorProcess = Effect.fnUntraced(function* (
  name: string,
): Effect.fn.Return<ProcessMonitor, never, Scope.Scope> {
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution: 10 });
      histogram.enable();
      return histogram;
    }),
    (histogram) => Effect.sync(() => histogram.disable()),
  );
  const cpu = counter("processCpuSeconds", { process: name });
  const resident = gauge("processResidentBytes", { process: name });
  const heap = gauge("processHeapBytes", { process: name });
  const uptime = gauge("processUptimeSeconds", { process: name });
  const loop = gauge("eventLoopDelayP99Seconds", { process: name });
  let counted = 0;
  return {
    sample: (context) => {
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      cpu.updateUnsafe(seconds - counted, context);
      counted = seconds;
      const memory = process.memoryUsage();
      resident.updateUnsafe(memory.rss, context);
      heap.updateUnsafe(memory.heapUsed, context);
      uptime.updateUnsafe(process.uptime(), context);
      loop.updateUnsafe(delay.percentile(99) / 1e9, context);
      delay.reset();
    },
  };
});
