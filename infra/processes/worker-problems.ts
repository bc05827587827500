/** What is wrong with a worker: tasks and relays that have stopped, each with its reason. */
import type { WorkerStatus } from "../../actors/worker/status-board.ts";
import type { TaskStatus } from "../../actors/task/task-status.ts";
import type { Problem } from "../telemetry/health.ts";

const NO_REASON = "no reason is known";

const taskHint = ({ state, task, reason }: TaskStatus): string | undefined => {
  if (state === "fenced") {
    return "another process has taken the task over: see that only one system runs on this NATS, then start it again";
  }
  const replay = `tidemark replay ${task.projection}`;
  // Some reasons say it themselves.
  if (reason?.includes(replay) === true) return undefined;
  return `its neighbours go on; start the system again to try once more, or rebuild it with \`${replay} --promote\``;
};

export const problemsOf = (status: WorkerStatus | undefined): readonly Problem[] => {
  if (status === undefined) return [{ about: "worker", reason: "it is starting" }];
  const tasks = status.tasks
    .filter(({ state }) => state === "quarantined" || state === "fenced")
    .map((task): Problem => {
      const hint = taskHint(task);
      return {
        about: `task ${task.subject}`,
        state: task.state,
        reason: task.reason ?? NO_REASON,
        ...(hint === undefined ? {} : { hint }),
      };
    });
  const relays = status.relays
    .filter(({ state }) => state === "failed" || state === "fenced")
    .map(({ target, state, reason }): Problem => ({
      about: `relay of ${target}`,
      state,
      reason: reason ?? NO_REASON,
      hint: "nothing more is published there; see that only one system runs on this NATS, then start it again",
    }));
  return [...tasks, ...relays];
};
