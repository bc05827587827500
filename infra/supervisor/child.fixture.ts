/**
 * A child for tests. argv: journal file, name, behaviour. It writes a line to the journal when it
 * starts and when it drained.
 */
import { appendFileSync } from "node:fs";
import { Effect } from "effect";
import { runMain, sayReady } from "./run-main.ts";

const [journal, name, behaviour] = process.argv.slice(2) as [string, string, string];
const write = (what: string): Effect.Effect<void> =>
  Effect.sync(() => appendFileSync(journal, `${name} ${what}\n`));

/** A drain that does not end, and says so. */
const hang = Effect.sync(() => {
  if (process.connected) process.send?.("draining");
}).pipe(Effect.andThen(Effect.never));

const serve = Effect.gen(function* () {
  yield* write("up");
  yield* Effect.addFinalizer(() => (behaviour === "stubborn" ? hang : write("drained")));
  yield* sayReady({ pid: process.pid, before: process.env["BEFORE"] ?? null });
  return yield* Effect.never;
});

switch (behaviour) {
  case "refuses":
    runMain(Effect.fail(new Error("port 4000 is in use")));
    break;
  case "mute":
    runMain(write("up").pipe(Effect.andThen(Effect.never)));
    break;
  case "talkative":
    runMain(
      Effect.sync(() => {
        for (let line = 0; line < 100_000; line++) process.stdout.write(`line ${line}\n`);
        process.send?.("written");
      }),
    );
    break;
  case "short-lived":
    runMain(sayReady({ pid: process.pid, before: null }));
    break;
  default:
    runMain(Effect.scoped(serve));
}
