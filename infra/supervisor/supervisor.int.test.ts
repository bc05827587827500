/** Real processes: started, killed, drained, and gone. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Effect, Queue, Schema, type Scope } from "effect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ProcessRecord, isAlive, recordOf } from "../servers/process-identity.ts";
import { natsServerChild, redisServerChild } from "../servers/supervised.ts";
import type { ChildSpec } from "./child-spec.ts";
import type { ChildStartFailed } from "./errors.ts";
import { nodeChild } from "./node-child.ts";
import { nodeEntry } from "./node-entry.ts";
import { type Supervisor, type SupervisorEvent, makeSupervisor } from "./supervisor.ts";

const About = Schema.Struct({ pid: Schema.Int, before: Schema.NullOr(Schema.String) });
type About = typeof About.Type;

let dir: string;
let journal: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-supervisor-test-"));
  journal = join(dir, "journal");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const child = (
  name: string,
  behaviour = "normal",
  limits: { graceMs?: number; readyMs?: number } = {},
): ChildSpec<About, ChildStartFailed> =>
  nodeChild({
    name,
    entry: nodeEntry(import.meta.url, "./child.fixture.ts"),
    args: [journal, name, behaviour],
    env: (previous) => (previous === undefined ? {} : { BEFORE: String(previous.pid) }),
    ready: About,
    restart: { restartsMax: 2, backoffMinMs: 10 },
    ...limits,
  });

const journalLines = (): string[] => readFileSync(journal, "utf8").trim().split("\n");
const kill9 = (pid: number): Effect.Effect<void> =>
  Effect.sync(() => void process.kill(pid, "SIGKILL"));
const allGone = (records: readonly ProcessRecord[]): Promise<void> =>
  vi.waitFor(() => expect(records.filter(isAlive)).toEqual([]), { timeout: 30_000, interval: 20 });

/** Runs a supervisor whose events can be waited for. */
const supervise = <A, E>(
  use: (
    supervisor: Supervisor,
    next: (child: string, type: SupervisorEvent["type"]) => Effect.Effect<SupervisorEvent>,
  ) => Effect.Effect<A, E, Scope.Scope>,
): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const events = yield* Queue.unbounded<SupervisorEvent>();
        const supervisor = yield* makeSupervisor({
          onEvent: (event) => Queue.offer(events, event).pipe(Effect.asVoid),
        });
        const next = Effect.fnUntraced(function* (name: string, type: SupervisorEvent["type"]) {
          for (;;) {
            const event = yield* Queue.take(events);
            if (event.child === name && event.type === type) return event;
          }
        });
        return yield* use(supervisor, next);
      }),
    ),
  );

test("a killed child comes back with what it said before; all drain in reverse order", async () => {
  const pids = await supervise((supervisor, next) =>
    Effect.gen(function* () {
      yield* supervisor.start(child("worker"));
      const gateway = yield* supervisor.start(child("gateway"));
      const first = gateway.life()!.pid;
      yield* next("gateway", "started");
      yield* kill9(first);
      const died = yield* next("gateway", "died");
      expect(died).toMatchObject({ pid: first, exit: { signal: "SIGKILL" } });
      yield* next("gateway", "started");
      const { pid, ready } = gateway.life()!;
      expect(ready).toEqual({ pid, before: String(first) });
      expect(pid).not.toBe(first);
      return supervisor.children().map((one) => one.life()!.pid);
    }),
  );
  for (const pid of pids) expect(recordOf(pid)).toBeUndefined();
  expect(journalLines()).toEqual([
    "worker up",
    "gateway up",
    "gateway up",
    "gateway drained",
    "worker drained",
  ]);
});

test("a child that does not drain is killed after the bound", async () => {
  const pid = await supervise((supervisor) =>
    Effect.map(
      supervisor.start(child("gateway", "stubborn", { graceMs: 200 })),
      (one) => one.life()!.pid,
    ),
  );
  expect(recordOf(pid)).toBeUndefined();
  expect(journalLines()).toEqual(["gateway up"]);
});

test("a child that cannot start says why, in its own words", async () => {
  const error = await supervise((supervisor) =>
    Effect.flip(supervisor.start(child("gateway", "refuses"))),
  );
  expect(error.message).toBe("gateway did not start: port 4000 is in use");
});

test("a child that never gets ready fails the start and is ended", async () => {
  const error = await supervise((supervisor) =>
    Effect.flip(supervisor.start(child("worker", "mute", { readyMs: 1_500 }))),
  );
  expect(error.message).toBe("worker did not start: it was not ready within 1500 ms");
});

test("a child that keeps ending is given up", async () => {
  const error = await supervise((supervisor) =>
    supervisor
      .start(child("worker", "short-lived"))
      .pipe(Effect.andThen(supervisor.failure), Effect.flip),
  );
  expect(error).toMatchObject({ _tag: "ChildGaveUp", child: "worker", restarts: 2 });
  expect(error.message).toContain("last: exit code 0");
});

test("killed servers come back on the same ports and folders", async () => {
  await supervise((supervisor, next) =>
    Effect.gen(function* () {
      const nats = yield* supervisor.start(natsServerChild({ dir: join(dir, "nats") }));
      const redis = yield* supervisor.start(redisServerChild({ dir: join(dir, "redis") }));
      const [natsBefore, redisBefore] = [nats.life()!.ready, redis.life()!.ready];
      yield* next("redis-server", "started");
      yield* kill9(natsBefore.pid);
      yield* next("nats-server", "started");
      yield* kill9(redisBefore.pid);
      yield* next("redis-server", "started");
      expect(nats.life()!.ready).toMatchObject({
        url: natsBefore.url,
        monitorUrl: natsBefore.monitorUrl,
        dir: natsBefore.dir,
      });
      expect(redis.life()!.ready).toMatchObject({ url: redisBefore.url, dir: redisBefore.dir });
      expect(nats.life()!.pid).not.toBe(natsBefore.pid);
    }),
  );
});

/** Starts the fixture that is a whole supervisor; resolves when its children are ready. */
async function startSupervisorProcess(): Promise<{
  readonly supervisor: ChildProcess;
  readonly children: readonly ProcessRecord[];
}> {
  const entry = nodeEntry(import.meta.url, "./supervisor.fixture.ts");
  const supervisor = spawn(process.execPath, [...entry.execArgv, entry.path, dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface(supervisor.stdout), "line")) as [string];
  const pids = JSON.parse(line) as number[];
  expect(pids).toHaveLength(4);
  return { supervisor, children: pids.map((pid) => recordOf(pid)!) };
}

test("when the supervisor is killed its children end and its temp folder goes", async () => {
  const { supervisor, children } = await startSupervisorProcess();
  supervisor.kill("SIGKILL");
  await allGone(children);
  await vi.waitFor(() => expect(existsSync(dir)).toBe(false), { timeout: 30_000 });
});

test("SIGTERM drains all and ends with code 0", async () => {
  const { supervisor, children } = await startSupervisorProcess();
  const exited = once(supervisor, "exit");
  supervisor.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  expect(children.filter(isAlive)).toEqual([]);
  expect(journalLines()).toEqual(["worker up", "gateway up", "gateway drained", "worker drained"]);
});
