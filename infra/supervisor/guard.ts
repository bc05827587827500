/**
 * A guard ends a child whose parent can no longer do it.
 *
 * It is a shell that waits on a pipe only the parent holds open. However the parent dies, kill -9
 * included, the kernel closes the pipe; the guard then ends the child's process group and removes
 * the folders that it was given.
 *
 * G1. While the parent lives the guard does nothing; it is dismissed when the child has ended.
 */
import { spawn } from "node:child_process";
import type { Socket } from "node:net";

const script = `
read -r _
kill -TERM "$1" 2>/dev/null
left=$2
while kill -0 "$1" 2>/dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
kill -KILL -"$1" 2>/dev/null
shift 2
[ "$#" -eq 0 ] || rm -rf -- "$@"
`;

export interface Guard {
  /** The child has ended by itself or by us. */
  readonly dismiss: () => void;
}

/** Guards the process group led by `pid`. */
export function guardProcess(options: {
  readonly pid: number;
  readonly graceMs: number;
  readonly removeDirs?: readonly string[] | undefined;
}): Guard {
  const graceTenths = String(Math.ceil(options.graceMs / 100));
  const guard = spawn(
    "sh",
    ["-c", script, "guard", String(options.pid), graceTenths, ...(options.removeDirs ?? [])],
    // A group of its own, so that a terminal's Ctrl-C does not reach it.
    { detached: true, stdio: ["pipe", "ignore", "ignore"] },
  );
  guard.on("error", () => undefined);
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as Socket).unref();
  return {
    dismiss: () => {
      guard.kill("SIGKILL");
      guard.stdin.destroy();
    },
  };
}
