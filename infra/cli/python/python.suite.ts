/**
 * Debian's own Python with gRPC, and stubs that Debian's own protoc makes: packages unpacked into a
 * cache folder, so that nothing is installed and no root is needed.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Effect } from "effect";
import { fetchDebianPackage } from "../../servers/debian-package.ts";
import { binariesDir } from "../../servers/cache-dir.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const PACKAGES = ["python3-grpcio", "protobuf-compiler-grpc"] as const;
const run = promisify(execFile);

export interface DebianPython {
  /** Writes stubs of the published contract, and of the flights schema, into a folder. */
  readonly generateStubs: (target: string) => Promise<void>;
  /** Runs a script with these stubs; returns its output. */
  readonly run: (script: string, stubs: string, args: readonly string[]) => Promise<string>;
}

/** Folders of an unpacked package that hold shared libraries. */
const libraryFolders = async (tree: string): Promise<string[]> => {
  const folders: string[] = [];
  for (const lib of [join(tree, "usr/lib"), join(tree, "lib")].filter(existsSync)) {
    const names = (await readdir(lib)).filter((name) => name.endsWith("-linux-gnu"));
    folders.push(...names.map((name) => join(lib, name)));
  }
  return folders;
};

/** The machine's python3, or the one that came along as a dependency. */
const findPython = (usr: string): { path: string; env: Record<string, string> } => {
  if (existsSync("/usr/bin/python3")) return { path: "/usr/bin/python3", env: {} };
  return { path: join(usr, "bin/python3"), env: { PYTHONHOME: usr } };
};

export const debianPython = async (): Promise<DebianPython> => {
  const trees = PACKAGES.map((name) => join(binariesDir(), `${name}.package`));
  for (const name of PACKAGES) {
    const target = join(binariesDir(), `${name}.package`);
    await Effect.runPromise(
      Effect.scoped(
        fetchDebianPackage({ name, suite: "own" }, target, (line) =>
          process.stderr.write(`${line}\n`),
        ),
      ),
    );
  }
  const [grpc, compiler] = trees.map((tree) => join(tree, "usr")) as [string, string];
  const libraries = (await Promise.all(trees.map(libraryFolders))).flat().join(":");
  const python = findPython(grpc);
  const env = { PATH: process.env["PATH"], LD_LIBRARY_PATH: libraries, ...python.env };
  return {
    generateStubs: async (target) => {
      const contract = join(ROOT, "proto");
      const files = (await readdir(join(contract, "tidemark/v1")))
        .filter((name) => name.endsWith(".proto"))
        .map((name) => join("tidemark/v1", name));
      const plugin = join(compiler, "bin/grpc_python_plugin");
      await run(
        join(compiler, "bin/protoc"),
        [
          `-I${contract}`,
          `-I${join(ROOT, "projections/flights")}`,
          `--python_out=${target}`,
          `--grpc_out=${target}`,
          `--plugin=protoc-gen-grpc=${plugin}`,
          ...files,
          "flights.proto",
        ],
        { env },
      );
    },
    run: async (script, stubs, args) => {
      const packages = join(grpc, "lib/python3/dist-packages");
      const { stdout } = await run(python.path, [script, ...args], {
        env: { ...env, PYTHONPATH: `${packages}:${stubs}`, PYTHONDONTWRITEBYTECODE: "1" },
        timeout: 120_000,
      });
      return stdout;
    },
  };
};
