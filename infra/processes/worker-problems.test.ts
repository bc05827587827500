import { expect, it } from "vitest";
import type { TaskStatus } from "../../actors/task/task-status.ts";
import type { WorkerStatus } from "../../actors/worker/status-board.ts";
import { describeProblems } from "../telemetry/health.ts";
import { problemsOf } from "./worker-problems.ts";

const task = (state: TaskStatus["state"], reason?: string): TaskStatus => ({
  task: { kind: "window", projection: "sales", version: 1, partition: 3 },
  subject: "results.sales.1.3",
  state,
  reason,
  position: 0,
  committedPosition: 0,
  lag: 0,
  watermark: undefined,
  idle: false,
  ingestTime: 0,
  epoch: 1,
  commits: 1,
  committedAt: 1,
  digest: "",
  books: undefined,
  recoveryMs: undefined,
});
const worker = (tasks: readonly TaskStatus[], relays: WorkerStatus["relays"] = []) => ({
  index: 0,
  workers: 1,
  tasks,
  relays,
});

it("finds nothing wrong with tasks that work or wait", () => {
  expect(problemsOf(worker([task("live"), task("restoring"), task("stopped")]))).toEqual([]);
});

it("names a task that has stopped, why, and what to do", () => {
  const [quarantined, fenced] = problemsOf(
    worker([task("quarantined", "the log has a gap"), task("fenced", "taken")]),
  );
  expect(describeProblems([quarantined!])[0]).toMatch(
    /^task results\.sales\.1\.3 is quarantined: the log has a gap; .*`tidemark replay sales --promote`$/,
  );
  expect(describeProblems([fenced!])[0]).toMatch(/is fenced: taken; .*only one system/);
});

it("says once what several tasks have in common", () => {
  const alike = [task("quarantined", "a gap"), task("quarantined", "a gap"), task("fenced", "x")];
  const lines = describeProblems(problemsOf(worker(alike)));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^task results\.sales\.1\.3 and 1 more are quarantined: a gap; /);
});

it("does not repeat a hint that the reason gives", () => {
  const reason = "the definition differs: run `tidemark replay sales --promote`";
  expect(problemsOf(worker([task("quarantined", reason)]))).toEqual([
    { about: "task results.sales.1.3", state: "quarantined", reason },
  ]);
});

it("names a relay that has stopped, and a worker that has not begun", () => {
  const relay = { target: "dlq", position: 0, lag: 0, epoch: 1 } as const;
  const failed = { ...relay, state: "failed", reason: "out of order" } as const;
  const [problem] = problemsOf(
    worker([], [{ ...relay, state: "relaying", reason: undefined }, failed]),
  );
  expect(problem).toMatchObject({ about: "relay of dlq", state: "failed", reason: "out of order" });
  expect(problemsOf(undefined)).toMatchObject([{ about: "worker" }]);
});
