/**
 * Tells whether a pid still is the process it was. A pid alone is not enough: the kernel gives it
 * out again.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Boot and start time of a living process; undefined if there is none, or only a zombie. */
export function processIdentity(pid: number): string | undefined {
  try {
    if (process.platform !== "linux") {
      const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      return started.trim() === "" ? undefined : started.trim();
    }
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0];
    const startTime = fields[19];
    return state === "Z" || state === "X" ? undefined : `${boot}:${startTime}`;
  } catch {
    return undefined;
  }
}

export interface ProcessRecord {
  readonly pid: number;
  readonly identity: string;
}

export const recordOf = (pid: number): ProcessRecord | undefined => {
  const identity = processIdentity(pid);
  return identity === undefined ? undefined : { pid, identity };
};

export const isAlive = (record: ProcessRecord): boolean =>
  processIdentity(record.pid) === record.identity;
