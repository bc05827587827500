/** The supervisor's decisions, with children that are only promises and a clock that is moved. */
import { Deferred, Effect, Exit, Fiber, Scope } from "effect";
import { TestClock } from "effect/testing";
import { expect, test } from "vitest";
import type { ChildSpec } from "./child-spec.ts";
import { ChildStartFailed } from "./errors.ts";
import type { ProcessExit } from "./os-process.ts";
import { type SupervisorEvent, makeSupervisor } from "./supervisor.ts";

const killed: ProcessExit = { code: null, signal: "SIGKILL" };

/** A child whose lives end when the test says so. */
class FakeChild {
  readonly log: string[];
  readonly name: string;
  readonly previous: (number | undefined)[] = [];
  failStarts = 0;
  #lives = 0;
  #ended: Deferred.Deferred<ProcessExit> | undefined;

  constructor(name: string, log: string[]) {
    this.name = name;
    this.log = log;
  }

  readonly die = Effect.suspend(() => Deferred.succeed(this.#ended!, killed));

  get spec(): ChildSpec<number, ChildStartFailed> {
    return {
      name: this.name,
      start: (previous) =>
        Effect.gen({ self: this }, function* () {
          if (this.failStarts > 0) {
            this.failStarts -= 1;
            return yield* new ChildStartFailed({ child: this.name, detail: "no luck" });
          }
          this.previous.push(previous);
          const ended = yield* Deferred.make<ProcessExit>();
          this.#ended = ended;
          const life = ++this.#lives;
          this.log.push(`${this.name} up ${life}`);
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => void this.log.push(`${this.name} down ${life}`)),
          );
          return { pid: life, ready: life, exited: Deferred.await(ended) };
        }),
      restart: { restartsMax: 3, windowMs: 60_000, backoffMinMs: 100, backoffMaxMs: 10_000 },
    };
  }
}

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.provide(Effect.scoped(effect), TestClock.layer()));

const names = (events: readonly SupervisorEvent[]): string[] =>
  events.map((event) => `${event.child} ${event.type}`);

test("groups drain in the reverse order of their start", async () => {
  const log: string[] = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new FakeChild(name, log));
  await run(
    Effect.gen(function* () {
      const supervisor = yield* makeSupervisor({ onEvent: () => Effect.void });
      yield* supervisor.start(a!.spec);
      yield* supervisor.startAll([b!.spec, c!.spec]);
      yield* supervisor.start(d!.spec);
      expect(supervisor.children().map((child) => child.name)).toEqual(["a", "b", "c", "d"]);
    }),
  );
  expect(log).toEqual([
    "a up 1",
    "b up 1",
    "c up 1",
    "d up 1",
    "d down 1",
    "b down 1",
    "c down 1",
    "a down 1",
  ]);
});

test("a child that died is started again after the backoff, and hears what it said before", async () => {
  const events: SupervisorEvent[] = [];
  const child = new FakeChild("a", []);
  await run(
    Effect.gen(function* () {
      const supervisor = yield* makeSupervisor({
        onEvent: (event) => Effect.sync(() => void events.push(event)),
      });
      const supervised = yield* supervisor.start(child.spec);
      yield* child.die;
      yield* TestClock.adjust(99);
      expect(supervised.life()).toBeUndefined();
      yield* TestClock.adjust(1);
      expect(supervised.life()?.pid).toBe(2);
      expect(supervised.restarts()).toBe(1);
    }),
  );
  expect(names(events)).toEqual([
    "a started",
    "a died",
    "a restarting",
    "a started",
    "a draining",
    "a drained",
  ]);
  expect(child.previous).toEqual([undefined, 1]);
});

test("starts that fail use up the budget; then failure says which child and why", async () => {
  const log: string[] = [];
  const child = new FakeChild("a", log);
  const other = new FakeChild("b", log);
  const error = await run(
    Effect.gen(function* () {
      const supervisor = yield* makeSupervisor({ onEvent: () => Effect.void });
      yield* supervisor.start(other.spec);
      yield* supervisor.start(child.spec);
      child.failStarts = 10;
      yield* child.die;
      const waiting = yield* Effect.forkChild(Effect.flip(supervisor.failure));
      yield* TestClock.adjust(100 + 200 + 400);
      const failure = yield* Fiber.join(waiting);
      expect(log).toEqual(["b up 1", "a up 1", "a down 1"]);
      return failure;
    }),
  );
  expect(error).toMatchObject({ _tag: "ChildGaveUp", child: "a", restarts: 3 });
  expect(error.message).toContain("a ended 4 times within 60 s and was given up");
  expect(error.message).toContain("no luck");
  expect(log.at(-1)).toBe("b down 1");
});

test("when one of a group does not start, the start fails and the others are drained", async () => {
  const log: string[] = [];
  const good = new FakeChild("good", log);
  const bad = new FakeChild("bad", log);
  bad.failStarts = 1;
  await run(
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const supervisor = yield* Scope.provide(
        makeSupervisor({ onEvent: () => Effect.void }),
        scope,
      );
      const error = yield* Effect.flip(supervisor.startAll([good.spec, bad.spec]));
      expect(error.message).toBe("bad did not start: no luck");
      yield* Scope.close(scope, Exit.void);
    }),
  );
  expect(log).toEqual(["good up 1", "good down 1"]);
});

test("nothing is restarted once draining has begun", async () => {
  const log: string[] = [];
  const child = new FakeChild("a", log);
  await run(
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const supervisor = yield* Scope.provide(
        makeSupervisor({ onEvent: () => Effect.void }),
        scope,
      );
      yield* supervisor.start(child.spec);
      yield* child.die;
      yield* TestClock.adjust(50);
      yield* Scope.close(scope, Exit.void);
      yield* TestClock.adjust(60_000);
    }),
  );
  expect(log).toEqual(["a up 1", "a down 1"]);
});
