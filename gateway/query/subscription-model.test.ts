/**
 * Random histories of RESULTS, read by consumers that are cut off, slow, and moved from gateway to
 * gateway: each gets a snapshot that is exactly the results as of its position, and after that
 * exactly the updates that follow, once and in order.
 */
import { Effect, Fiber, Semaphore } from "effect";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { SubscribeResponse } from "../../proto/gen/tidemark/v1/query.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { commitOf, HOUR, updateOf } from "./commits.suite.ts";
import { QuerySystem } from "./query-system.suite.ts";
import type { Followed } from "./query-system.suite.ts";
import { runSubscription } from "./subscription.ts";
import type { ResponseSink, SubscriptionRequest } from "./subscription.ts";
import { readResumeToken } from "./tokens.ts";

const RUNS = Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? 60);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      version: fc.constantFrom(1, 1, 1, 2),
      partition: fc.nat(2),
      parts: fc.array(fc.array(fc.constantFrom("a", "ab", "b", "a\0"), { maxLength: 3 }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("turns" as const), turns: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), consumer: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

const options = fc.record({
  recentBytesMax: fc.constantFrom(1, 400, 1_000_000),
  transactionRowsMax: fc.constantFrom(1, 4, 1_000),
  patience: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
});

/** What was appended, with the sequence that ends each commit. */
type History = { readonly sequence: number; readonly text: string; readonly version: number }[];

const textOf = ({ key, window, revision }: Result): string =>
  `${key}@${window!.start / HOUR}:${revision}`;

class Consumer {
  /** Text of each row of the snapshot. */
  snapshot: string[] = [];
  position: number | undefined;
  token = "";
  handled: string[] = [];
  readonly #request: Omit<SubscriptionRequest, "start">;
  readonly #patience: readonly boolean[];
  #writes = 0;
  #afterToken: string[] = [];
  #mayWrite = true;
  #fiber: Fiber.Fiber<never, unknown> | undefined;
  #changed: () => void = () => {};

  constructor(keyPrefix: string, patience: readonly boolean[]) {
    this.#request = { projection: "departures", version: 1, keyPrefix };
    this.#patience = patience;
  }

  get keyPrefix(): string {
    return this.#request.keyPrefix;
  }

  attach(gateway: Followed): void {
    this.#afterToken = [];
    this.#mayWrite = true;
    const point = this.token === "" ? undefined : readResumeToken(this.token, this.keyPrefix);
    if (point === undefined) this.snapshot = [];
    const sink: ResponseSink = {
      write: (response) => this.#write(response),
      drained: Effect.repeat(Effect.yieldNow, { times: 3 }).pipe(
        Effect.andThen(Effect.sync(() => void (this.#mayWrite = true))),
      ),
      started: () => {},
    };
    const request = { ...this.#request, start: point ?? ("snapshot" as const) };
    const running = runSubscription(gateway.view, request, Semaphore.makeUnsafe(1), sink);
    this.#fiber = Effect.runFork(Effect.provideContext(running, gateway.system.context));
  }

  async cut(): Promise<void> {
    if (this.#fiber !== undefined) await Effect.runPromise(Fiber.interrupt(this.#fiber));
  }

  /** Resolves when so many updates were handled after the snapshot. */
  async has(count: () => number): Promise<void> {
    while (this.position === undefined || this.handled.length < count()) {
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  #write({ event, resumeToken }: SubscribeResponse): boolean {
    expect(this.#mayWrite, "nothing is written before the consumer has drained").toBe(true);
    if (event?.$case === "snapshot") this.snapshot.push(textOf(event.value));
    if (event?.$case === "update") this.#afterToken.push(textOf(event.value));
    if (resumeToken !== "") {
      this.token = resumeToken;
      this.handled.push(...this.#afterToken.splice(0));
      this.position ??= readResumeToken(resumeToken, this.keyPrefix)!.position;
    }
    this.#changed();
    this.#mayWrite = this.#patience[this.#writes++ % this.#patience.length]!;
    return this.#mayWrite;
  }
}

const expectedOf = (history: History, { keyPrefix, position }: Consumer): string[] =>
  history
    .filter((update) => update.version === 1 && update.sequence > position!)
    .filter((update) => update.text.startsWith(keyPrefix))
    .map((update) => update.text);

const snapshotOf = (history: History, { keyPrefix, position }: Consumer): string[] => {
  const rows = new Map<string, string>();
  for (const { version, sequence, text } of history) {
    if (version !== 1 || sequence > position! || !text.startsWith(keyPrefix)) continue;
    rows.set(text.slice(0, text.lastIndexOf(":")), text);
  }
  return [...rows.values()];
};

let gateway: Followed | undefined;
let system: QuerySystem | undefined;
const consumers: Consumer[] = [];

const stopAll = async (): Promise<void> => {
  for (const consumer of consumers.splice(0)) await consumer.cut();
  await gateway?.stop();
  await system?.stop();
  gateway = system = undefined;
};
afterEach(stopAll);

describe("whatever happens between commits", () => {
  it(
    "consumers see no gap and no repeat",
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), options, async (steps, settings) => {
          const { patience, ...viewOptions } = settings;
          const running = (system = await QuerySystem.start());
          const history: History = [];
          const numbers = new Map<string, number>();
          const revisions = new Map<string, number>();

          const append = async (version: number, partition: number, parts: readonly string[][]) => {
            const task = `${version}/${partition}`;
            const number = (numbers.get(task) ?? 0) + 1;
            numbers.set(task, number);
            const texts: string[] = [];
            const commits = parts.map((keys, partIndex) => {
              const updates = keys.map((key) => {
                const row = `${key}@${partition}`;
                const revision = (revisions.get(`${version} ${row}`) ?? 0) + 1;
                revisions.set(`${version} ${row}`, revision);
                texts.push(`${row}:${revision}`);
                return updateOf(key, partition * HOUR, 0, { revision });
              });
              return commitOf(number, updates, {
                version,
                partition,
                partIndex,
                partCount: parts.length,
              });
            });
            const sequence = await running.commit(...(commits as [Commit, ...Commit[]]));
            for (const text of texts) history.push({ sequence, text, version });
          };

          let current = (gateway = await running.view(viewOptions));
          await Effect.runPromise(current.view.caughtUp);
          consumers.push(new Consumer("", patience), new Consumer("a", patience.toReversed()));
          for (const consumer of consumers) consumer.attach(current);
          for (const what of steps) {
            if (what.kind === "commit") await append(what.version, what.partition, what.parts);
            if (what.kind === "turns") {
              await Effect.runPromise(Effect.repeat(Effect.yieldNow, { times: what.turns }));
            }
            if (what.kind === "cut") {
              await consumers[what.consumer]!.cut();
              consumers[what.consumer]!.attach(current);
            }
            if (what.kind === "restart") {
              for (const consumer of consumers) await consumer.cut();
              await current.stop();
              current = gateway = await running.view(viewOptions);
              await Effect.runPromise(current.view.caughtUp);
              for (const consumer of consumers) consumer.attach(current);
            }
          }
          // With these handled, whatever was to come before them has come.
          await append(1, 0, [["a", "a"]]);
          for (const consumer of consumers) {
            await consumer.has(() => expectedOf(history, consumer).length);
            expect(consumer.handled).toEqual(expectedOf(history, consumer));
            expect(consumer.snapshot.toSorted()).toEqual(snapshotOf(history, consumer).toSorted());
          }
          await stopAll();
        }),
        { numRuns: RUNS },
      );
    },
    Math.max(60_000, RUNS * 1_000),
  );
});
