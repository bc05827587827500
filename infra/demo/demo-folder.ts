/**
 * The demo's own data folder. It holds one run and repetitions of it: sent again within the dedupe
 * horizon, events count once. Anything else could not be right by definition (other flights would be
 * late, forgotten ids would count as late), so it begins with an empty folder.
 *
 * D1. Only a folder that a demo made is ever emptied: `demo.json` says so.
 */
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Schema } from "effect";
import { CliError } from "../cli/cli-error.ts";
import { readRunFile } from "../processes/run-file.ts";

const DEMO_FILE = "demo.json";

const DemoFile = Schema.Struct({
  flights: Schema.Int,
  seed: Schema.Int,
  /** When the last run began, milliseconds since the epoch. */
  startedAt: Schema.Int,
});
export type DemoFile = typeof DemoFile.Type;

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(DemoFile));

export interface PreparedFolder {
  /** Whether the folder holds an earlier run of the same events. */
  readonly repeated: boolean;
  /** Why an earlier run was removed, to be said. */
  readonly removed: string | undefined;
}

export interface FolderRequest {
  readonly dataDir: string;
  readonly flights: number;
  readonly seed: number;
  readonly fresh: boolean;
  readonly now: number;
  readonly dedupeHorizonMs: number;
}

/** Why the earlier run cannot be repeated, or undefined. */
const whyRemoved = (earlier: DemoFile, wanted: FolderRequest): string | undefined => {
  if (wanted.fresh) return "--fresh";
  if (earlier.flights !== wanted.flights || earlier.seed !== wanted.seed) {
    return `it was of ${earlier.flights} flights with seed ${earlier.seed}`;
  }
  // With room for the run itself: its last events must be sent again in time, too.
  if (wanted.now - earlier.startedAt > wanted.dedupeHorizonMs / 2) {
    return "it is older than the time for which ids are remembered";
  }
  return undefined;
};

export const prepareFolder = async (wanted: FolderRequest): Promise<PreparedFolder> => {
  const { dataDir, flights, seed, now } = wanted;
  const running = await readRunFile(dataDir);
  if (running !== undefined) {
    throw new CliError(`a system runs on ${dataDir} already (pid ${running.pid})`, {
      hint: "End it first, or name another folder with --data-dir.",
    });
  }
  await mkdir(dataDir, { recursive: true });
  const text = await readFile(join(dataDir, DEMO_FILE), "utf8").catch(() => undefined);
  const earlier = text === undefined ? undefined : decode(text);
  let removed: string | undefined;
  if (earlier?._tag === "Some") {
    removed = whyRemoved(earlier.value, wanted);
    if (removed !== undefined) {
      for (const name of await readdir(dataDir)) {
        await rm(join(dataDir, name), { recursive: true, force: true });
      }
    }
  } else if ((await readdir(dataDir)).length > 0) {
    throw new CliError(`${dataDir} holds something else than a demo`, {
      hint: "Name an empty or new folder with --data-dir.",
    });
  }
  const demoFile: DemoFile = { flights, seed, startedAt: now };
  await writeFile(join(dataDir, DEMO_FILE), `${JSON.stringify(demoFile)}\n`);
  return { repeated: earlier?._tag === "Some" && removed === undefined, removed };
};
