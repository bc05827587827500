/**
 * CPU time of processes: a steadier figure than the clock on a machine that does other things, too.
 * Read from /proc, so only on Linux; elsewhere there is none.
 */
import { readFileSync } from "node:fs";

/** The kernel counts in hundredths of a second, whatever its own tick. */
const TICKS_PER_SECOND = 100;

/** User and system seconds since the process started. */
export const cpuSeconds = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
};

export interface ProcessGroup {
  readonly name: string;
  readonly pids: readonly number[];
}

export type CpuUse = Readonly<Record<string, number | undefined>>;

/** Call it at the start; the result gives what was used since, by name. */
export const watchCpu = (groups: readonly ProcessGroup[]): (() => CpuUse) => {
  const total = (pids: readonly number[]): number | undefined => {
    const each = pids.map(cpuSeconds);
    return each.includes(undefined)
      ? undefined
      : (each as number[]).reduce((sum, seconds) => sum + seconds, 0);
  };
  const before = groups.map(({ pids }) => total(pids));
  return () =>
    Object.fromEntries(
      groups.map(({ name, pids }, index) => {
        const now = total(pids);
        const then = before[index];
        return [name, now === undefined || then === undefined ? undefined : now - then];
      }),
    );
};
