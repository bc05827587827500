/** S1 when it matters: the process is killed in the middle of a transaction, or the disk is full. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { fillOnce, ROWS_EACH } from "./fill-store.suite.ts";
import { ResultStore } from "./result-store.ts";
import { temporaryFolder } from "./temporary-folder.suite.ts";

const program = join(import.meta.dirname, "fill-store.suite.ts");

const readBack = (store: ResultStore) => {
  const query = { projection: "departures", version: 1, keyPrefix: "", from: undefined };
  const state = store.version("departures", 1);
  return {
    position: store.position.sequence,
    rows: store.scan({ ...query, to: undefined }).step(1e9, 1e9).length,
    results: state?.results,
    number: state?.tasks.get(0)?.number,
  };
};

const asOf = (position: number) => ({
  position,
  rows: position * ROWS_EACH,
  results: position * ROWS_EACH,
  number: position,
});

it("after kill -9 the store is as of a position, and goes on from it", async () => {
  const folder = temporaryFolder();
  const child = spawn(process.execPath, ["--import", "tsx", program, folder]);
  const ended = new Promise((resolve) => child.once("close", resolve));
  let stored = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    stored = Number(line);
    if (stored === 15) child.kill("SIGKILL");
  }
  await ended;
  const { store, reset } = ResultStore.open(folder);
  expect(reset).toBeUndefined();
  const { position } = readBack(store);
  expect(position).toBeGreaterThanOrEqual(stored);
  expect(readBack(store)).toEqual(asOf(position));
  expect(await fillOnce(store, position + 1)).toMatchObject({ applied: ROWS_EACH, missed: [] });
  expect(readBack(store)).toEqual(asOf(position + 1));
  await store.close();
});

it("a full disk refuses whole transactions, and what was stored stays readable", async () => {
  const folder = temporaryFolder();
  // Files of at most 4,096 blocks of 512 or 1,024 bytes; beyond, a write fails as on a full disk.
  const script = `trap '' XFSZ; ulimit -f 4096; exec "$0" --import tsx "$1" "$2"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, program, folder], {
    encoding: "utf8",
  });
  const lines = stdout.split("\n");
  expect(lines.length, stderr).toBeGreaterThan(1);
  expect(JSON.parse(lines.at(-1)!)).toEqual({
    failed: true,
    message: expect.stringContaining(`the query store in ${folder} cannot be written`),
    unhandled: [],
  });
  const { store } = ResultStore.open(folder);
  expect(readBack(store)).toEqual(asOf(lines.length - 1));
  const next = await fillOnce(store, lines.length);
  expect(next).toMatchObject({ applied: ROWS_EACH, missed: [] });
  await store.close();
});
