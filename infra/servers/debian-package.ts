/**
 * Fetches a server from Debian's archive into a folder of ours, with apt's own signature checks.
 *
 * D1. The system is not touched: lists, cache, sources and package state are ours, and the
 *     machine's apt hooks do not run. So it needs no root and no up-to-date lists.
 * D2. The target appears by one rename, complete; a killed fetch leaves only a temp folder, which
 *     the next one removes.
 * D3. One fetch at a time per target, also across processes: a kernel lock (flock), which a
 *     killed holder cannot leave behind.
 */
import { spawn } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Effect, type Scope } from "effect";
import { type SourcesFile, mirrorsOf } from "./apt-sources.ts";
import { FetchFailed } from "./errors.ts";
import { type CommandFailed, runCommand } from "./run-command.ts";

export interface DebianPackage {
  readonly name: string;
  /** `own`: the suite of this machine, with the libraries that are not installed. */
  readonly suite: "sid" | "own";
}

const keyrings = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
];

const exists = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    access(path).then(
      () => true,
      () => false,
    ),
  );

/** The codename of this Debian, or why this machine cannot use Debian's archive. */
const debianCodename = Effect.gen(function* () {
  const text = yield* Effect.promise(() => readFile("/etc/os-release", "utf8").catch(() => ""));
  const value = (key: string): string | undefined =>
    new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(text)?.[1];
  if (value("ID") !== "debian") {
    return yield* Effect.fail(`this is ${value("PRETTY_NAME") ?? process.platform}, not Debian`);
  }
  return value("VERSION_CODENAME") ?? "sid";
});

const readSources = Effect.promise(async (): Promise<SourcesFile[]> => {
  const folder = "/etc/apt/sources.list.d";
  const names = await readdir(folder).catch(() => []);
  const paths = ["/etc/apt/sources.list", ...names.sort().map((name) => join(folder, name))];
  return Promise.all(
    paths.map(async (path) => ({
      name: basename(path),
      text: await readFile(path, "utf8").catch(() => ""),
    })),
  );
});

/**
 * An apt configuration that keeps the machine's network settings (proxies, clocks) and replaces
 * everything that would read or write its package state.
 */
const writeAptConfig = Effect.fnUntraced(function* (
  work: string,
  source: string,
): Effect.fn.Return<NodeJS.ProcessEnv, CommandFailed> {
  const own = yield* runCommand("apt-config", ["dump"]);
  const kept = own
    .split("\n")
    .filter((line) => !/^(Dir|DPkg|APT::(Update|Periodic)|CommandLine|Binary)\b/i.test(line));
  const config = join(work, "apt.conf");
  const settings: Record<string, string> = {
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::sourcelist": join(work, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State::lists": join(work, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(work, "cache"),
    // As root apt would download as user _apt, which may not enter our folder.
    "APT::Sandbox::User": "",
    "APT::Install-Recommends": "false",
    "Acquire::Languages": "none",
    "Acquire::Retries": "2",
    // Otherwise an update that reached nothing succeeds.
    "APT::Update::Error-Mode": "any",
  };
  yield* Effect.promise(async () => {
    await mkdir(join(work, "lists"), { recursive: true });
    await mkdir(join(work, "cache"), { recursive: true });
    await writeFile(join(work, "sources.list"), `${source}\n`);
    const ours = Object.entries(settings).map(([key, value]) => `${key} "${value}";`);
    await writeFile(config, [...kept, ...ours, ""].join("\n"));
  });
  return { ...process.env, APT_CONFIG: config, LC_ALL: "C" };
});

/** The package and everything below it, without what this machine has. */
const missingPackages = Effect.fnUntraced(function* (
  name: string,
  env: NodeJS.ProcessEnv,
): Effect.fn.Return<string[], CommandFailed> {
  const plan = yield* runCommand("apt-get", ["-s", "install", name], { env });
  const needed = [...plan.matchAll(/^Inst ([^\s:]+)/gm)].map((match) => match[1]!);
  const format = "-f=${Package} ${db:Status-Status}\n";
  const state = yield* runCommand("dpkg-query", ["-W", format], { env });
  const installed = new Set([...state.matchAll(/^(\S+) installed$/gm)].map((match) => match[1]!));
  return needed.filter((needs) => needs === name || !installed.has(needs));
});

const fetchFrom = Effect.fnUntraced(function* (
  pkg: DebianPackage,
  suite: string,
  mirror: string,
  work: string,
): Effect.fn.Return<string, CommandFailed> {
  const found = yield* Effect.filter(keyrings, exists);
  if (found[0] === undefined) {
    return yield* Effect.fail({ detail: `${keyrings[0]} is missing` });
  }
  const source = `deb [signed-by=${found[0]}] ${mirror} ${suite} main`;
  const env = yield* writeAptConfig(work, source);
  yield* runCommand("apt-get", ["-q", "update"], { env, cwd: work });
  const names = pkg.suite === "own" ? yield* missingPackages(pkg.name, env) : [pkg.name];
  yield* runCommand("apt-get", ["-q", "download", ...names], { env, cwd: work });
  const tree = join(work, "tree");
  const files = yield* Effect.promise(() => readdir(work));
  for (const file of files.filter((name) => name.endsWith(".deb"))) {
    yield* runCommand("dpkg", ["-x", join(work, file), tree], { env, cwd: work });
  }
  return tree;
});

/** Holds an exclusive lock on a file until the scope closes or this process dies. */
const lock = (file: string): Effect.Effect<void, CommandFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<() => void, CommandFailed>((resume) => {
      const holder = spawn("flock", [file, "sh", "-c", "echo held; read -r _"], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      holder.once("error", () => resume(Effect.fail({ detail: "flock cannot be run" })));
      holder.once("exit", () => resume(Effect.fail({ detail: `${file} cannot be locked` })));
      holder.stdout.once("data", () => resume(Effect.succeed(() => holder.stdin.end())));
      return Effect.sync(() => holder.kill());
    }),
    (release) => Effect.sync(release),
    { interruptible: true },
  );

/**
 * Puts the unpacked package at `target`. Returns at once if it is there already.
 * `report` gets one line when a download starts and one when it is done.
 */
export const fetchDebianPackage = Effect.fn("fetchDebianPackage")(function* (
  pkg: DebianPackage,
  target: string,
  report: (line: string) => void,
): Effect.fn.Return<void, FetchFailed, Scope.Scope> {
  const failed = (detail: string): FetchFailed => new FetchFailed({ what: pkg.name, detail });
  const codename = yield* debianCodename.pipe(Effect.mapError(failed));
  const parent = dirname(target);
  yield* Effect.tryPromise({
    try: () => mkdir(parent, { recursive: true }),
    catch: (cause) => failed(String(cause)),
  });
  const asFailure = Effect.mapError(({ detail }: CommandFailed) => failed(detail));
  yield* lock(`${target}.lock`).pipe(asFailure);
  if (yield* exists(target)) return;

  const prefix = `${basename(target)}.fetch-`;
  yield* Effect.promise(async () => {
    const left = (await readdir(parent)).filter((name) => name.startsWith(prefix));
    for (const name of left) await rm(join(parent, name), { recursive: true, force: true });
  });
  const suite = pkg.suite === "own" ? codename : "sid";
  const problems: string[] = [];
  for (const mirror of mirrorsOf(yield* readSources, codename)) {
    const work = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => mkdtemp(join(parent, prefix)),
        catch: (cause) => failed(String(cause)),
      }),
      (dir) => Effect.promise(() => rm(dir, { recursive: true, force: true })),
    );
    report(`fetching ${pkg.name} from ${mirror} (${suite}) into ${parent} ...`);
    const tree = yield* Effect.result(fetchFrom(pkg, suite, mirror, work));
    if (tree._tag === "Success") {
      yield* Effect.tryPromise({
        try: () => rename(tree.success, target),
        catch: (cause) => failed(String(cause)),
      });
      report(`${pkg.name} is ready`);
      return;
    }
    problems.push(`${mirror}: ${tree.failure.detail}`);
  }
  return yield* failed(problems.join("; "));
});
