import { expect, test } from "vitest";
import { nodeEntry, typescriptLoader } from "./node-entry.ts";

test("beside a source file the entry is source, loaded through tsx from wherever", () => {
  const entry = nodeEntry("file:///app/infra/cli/main.ts", "../processes/worker.ts");
  expect(entry).toEqual({
    path: "/app/infra/processes/worker.ts",
    execArgv: typescriptLoader(),
  });
  expect(entry.execArgv[0]).toBe("--import");
  expect(entry.execArgv[1]).toMatch(/^file:\/\/\/.*\/tsx\/.*\.mjs$/);
});

test("beside a compiled file the entry is compiled, and needs no loader", () => {
  expect(nodeEntry("file:///app/dist/infra/cli/main.js", "../processes/worker.ts")).toEqual({
    path: "/app/dist/infra/processes/worker.js",
    execArgv: [],
  });
});
