/**
 * Notices that the npm or npx which launched this process is gone.
 *
 * npm hands SIGTERM on to its own child, which is a shell; the shell dies of it, and what it ran
 * is left to itself, without ever having heard of the signal.
 *
 *     npx ──▶ sh -c "tidemark start" ──▶ node        npm start ──▶ node (the script says exec)
 *
 * L1. Only npm's launch counts. A process that a shell put into the background may outlive it.
 * L2. A parent is told by its place in the tree of processes, not by its pid alone, which the kernel
 *     gives out again: when it dies its child gets another parent.
 */
import { readFileSync } from "node:fs";

const LOOK_EVERY_MS = 250;
const SHELL = /^(sh|dash|bash|ash|busybox|zsh)$/;

interface Ancestor {
  readonly command: string;
  readonly parent: number;
}

/** Undefined for a process that is gone, and where there is no /proc. */
const ancestorOf = (pid: number): Ancestor | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command stands in parentheses and may contain anything.
    const end = stat.lastIndexOf(")");
    const parent = Number(stat.slice(end + 2).split(" ")[1]);
    return { command: stat.slice(stat.indexOf("(") + 1, end), parent };
  } catch {
    return undefined;
  }
};

export const isLaunchedByNpm = (
  environment: Readonly<Record<string, string | undefined>>,
): boolean => (environment["npm_lifecycle_event"] ?? "") !== "";

/** Calls `gone` once when npm, or the shell between it and us, has ended. Keeps no process alive. */
export const watchLauncher = (gone: () => void): void => {
  if (!isLaunchedByNpm(process.env)) return;
  const parent = process.ppid;
  const shell = ancestorOf(parent);
  const behindShell = shell !== undefined && SHELL.test(shell.command) ? shell.parent : undefined;
  const timer = setInterval(() => {
    const orphaned = process.ppid !== parent;
    const shellOrphaned = behindShell !== undefined && ancestorOf(parent)?.parent !== behindShell;
    if (!orphaned && !shellOrphaned) return;
    clearInterval(timer);
    gone();
  }, LOOK_EVERY_MS);
  timer.unref();
};
