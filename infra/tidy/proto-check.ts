/**
 * Checks the contract: the proto files are well-formed, the checked-in code is what they generate,
 * and nothing breaks readers of what the main branch has published.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const proto = join(root, "proto");

function run(command: string, args: readonly string[], cwd: string): boolean {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (error) process.stderr.write(`${command}: ${error.message}\n`);
  return status === 0;
}

const buf = (...args: string[]): boolean =>
  run(join(root, "node_modules", ".bin", "buf"), args, proto);

/** Every file below `dir` with its text. */
const readTree = (dir: string): Map<string, string> =>
  new Map(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(dir.length + 1), readFileSync(path, "utf8")]),
  );

/** Names of checked-in files that differ from what the proto files generate now. */
function staleFiles(): string[] | undefined {
  const temp = mkdtempSync(join(tmpdir(), "tidemark-proto-"));
  try {
    if (!buf("generate", "-o", temp)) return undefined;
    const fresh = readTree(join(temp, "gen"));
    const checkedIn = readTree(join(proto, "gen"));
    const names = new Set([...fresh.keys(), ...checkedIn.keys()]);
    return [...names].filter((name) => fresh.get(name) !== checkedIn.get(name)).sort();
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

/** The main branch, if this is a clone that knows it and it has proto files. */
function publishedRef(): string | undefined {
  const has = (ref: string): boolean =>
    spawnSync("git", ["cat-file", "-e", `${ref}:proto/buf.yaml`], { cwd: root }).status === 0;
  return ["refs/remotes/origin/main", "refs/heads/main"].find(has);
}

let ok = buf("lint");

const stale = staleFiles();
if (stale === undefined) ok = false;
else if (stale.length > 0) {
  process.stderr.write(`not what the proto files generate: ${stale.join(", ")}\n`);
  process.stderr.write(`run "npm run proto:generate" and commit the result\n`);
  ok = false;
}

const ref = publishedRef();
if (ref === undefined) {
  process.stderr.write("no main branch here: breaking changes are not checked\n");
} else if (!buf("breaking", "--against", `../.git#ref=${ref},subdir=proto`)) {
  process.stderr.write(`these changes break readers of ${ref}\n`);
  ok = false;
}
process.exit(ok ? 0 : 1);
