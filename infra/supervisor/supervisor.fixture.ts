/**
 * A whole supervisor for tests, as a process of its own. argv: folder. It runs both servers and two
 * Node children, and prints the pids as one line of JSON when all are ready.
 */
import { join } from "node:path";
import { Effect, Schema } from "effect";
import { natsServerChild, redisServerChild } from "../servers/supervised.ts";
import { nodeChild } from "./node-child.ts";
import { nodeEntry } from "./node-entry.ts";
import { runMain } from "./run-main.ts";
import { makeSupervisor } from "./supervisor.ts";

const dir = process.argv[2]!;
const removeDirs = [dir];
const child = (name: string): ReturnType<typeof nodeChild<unknown>> =>
  nodeChild({
    name,
    entry: nodeEntry(import.meta.url, "./child.fixture.ts"),
    args: [join(dir, "journal"), name, "normal"],
    ready: Schema.Unknown,
    graceMs: 10_000,
  });

runMain(
  Effect.scoped(
    Effect.gen(function* () {
      const supervisor = yield* makeSupervisor({ onEvent: () => Effect.void });
      yield* supervisor.start(natsServerChild({ dir: join(dir, "nats"), removeDirs }));
      yield* supervisor.start(redisServerChild({ dir: join(dir, "redis"), removeDirs }));
      yield* supervisor.start(child("worker"));
      yield* supervisor.start(child("gateway"));
      const pids = supervisor.children().map((one) => one.life()!.pid);
      process.stdout.write(`${JSON.stringify(pids)}\n`);
      return yield* supervisor.failure;
    }),
  ),
);
