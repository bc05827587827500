/**
 * Who runs the server of a data directory: a small file beside its data.
 *
 * O1. A directory has one owner. nats-server does not lock its store, and two of them on one store
 *     destroy it.
 * O2. A server whose owner is dead is ended before another starts. Only a process that the file
 *     names and that still is the same process is ever killed.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Effect, Schedule, Schema, type Scope } from "effect";
import { DirectoryInUse, DirectoryUnusable, type ServerName } from "./errors.ts";
import { type ProcessRecord, isAlive, recordOf } from "./process-identity.ts";

const Process = Schema.Struct({ pid: Schema.Int, identity: Schema.String });
const Ownership = Schema.Struct({ owner: Process, server: Schema.optional(Process) });
type Ownership = typeof Ownership.Type;
const decodeOwnership = Schema.decodeUnknownOption(Schema.fromJsonString(Ownership));

export interface OwnedDirectory {
  /** Notes which process serves the directory now. */
  readonly setServer: (pid: number) => Effect.Effect<void, DirectoryUnusable>;
}

const read = async (file: string): Promise<Ownership | undefined> => {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const decoded = decodeOwnership(text);
  return decoded._tag === "Some" ? decoded.value : undefined;
};

const endLeftover = (server: ProcessRecord): Effect.Effect<void> =>
  Effect.sync(() => {
    if (isAlive(server)) process.kill(server.pid, "SIGKILL");
    return isAlive(server);
  }).pipe(
    Effect.repeat({ while: (alive) => alive, schedule: Schedule.spaced("10 millis") }),
    Effect.asVoid,
  );

/** Makes this process the owner of `dir` until the scope closes. Creates the directory. */
export const ownDirectory = Effect.fn("ownDirectory")(function* (
  server: ServerName,
  dir: string,
): Effect.fn.Return<OwnedDirectory, DirectoryInUse | DirectoryUnusable, Scope.Scope> {
  const file = join(dir, `${server}.owner.json`);
  const owner = recordOf(process.pid)!;
  const disk = <A>(run: () => Promise<A>): Effect.Effect<A, DirectoryUnusable> =>
    Effect.tryPromise({
      try: run,
      catch: (cause) =>
        new DirectoryUnusable({
          server,
          dir,
          detail: cause instanceof Error ? cause.message : String(cause),
        }),
    });
  const replace = async (ownership: Ownership): Promise<void> => {
    await writeFile(`${file}.${process.pid}`, JSON.stringify(ownership));
    await rename(`${file}.${process.pid}`, file);
  };

  const claim = Effect.gen(function* () {
    yield* disk(() => mkdir(dir, { recursive: true }));
    // Creating the file decides between two that start at the same moment.
    const mine = yield* disk(() =>
      writeFile(file, JSON.stringify({ owner }), { flag: "wx" }).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === "EEXIST") return false;
          throw error;
        },
      ),
    );
    if (mine) return;
    const previous = yield* disk(() => read(file));
    if (previous !== undefined && isAlive(previous.owner)) {
      return yield* new DirectoryInUse({ server, dir, ownerPid: previous.owner.pid });
    }
    if (previous?.server !== undefined) yield* endLeftover(previous.server);
    yield* disk(() => replace({ owner }));
  });

  yield* Effect.acquireRelease(claim, () => Effect.promise(() => rm(file, { force: true })));
  return {
    setServer: (pid) => {
      const record = recordOf(pid);
      return disk(() => replace(record === undefined ? { owner } : { owner, server: record }));
    },
  };
});
