import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { installPackage, type InstalledPackage } from "./installed-package.suite.ts";

const INSTALL_MS = 300_000;

let installed: InstalledPackage;
beforeAll(async () => {
  installed = await installPackage();
}, INSTALL_MS);
afterAll(() => installed?.remove());

const SCHEMA = `
syntax = "proto3";
package shop;
message Sale {
  string store = 1;
  int64 cents = 2;
}
`;

const PROJECTION = `
import { count, field, projection, sum, topic, tumbling } from "tidemark";

export const sales = topic("sales", {
  schemas: ["./shop.proto"],
  types: ["shop.Sale"],
  maxOutOfOrderness: "30 seconds",
});

export default projection("revenue", {
  source: sales,
  window: tumbling("1 hour"),
  aggregates: { sales: count(), cents: sum(field("cents")) },
});
`;

const expectNothingLeft = (): void => {
  expect(existsSync(join(installed.dir, ".tidemark/run.json"))).toBe(false);
  const processes = execFileSync("ps", ["-eo", "args="], { encoding: "utf8" });
  expect(processes.split("\n").filter((line) => line.includes(installed.dir))).toEqual([]);
};

/** The last sale is an hour later: it closes the hour of the others. */
const EVENTS = [
  { id: "1", key: "berlin", time: "2001-01-01T10:05:00Z", data: { store: "berlin", cents: 250 } },
  {
    id: "2",
    key: "berlin",
    time: "2001-01-01T10:59:59Z",
    data: { store: "berlin", cents: "1000" },
  },
  {
    id: "3",
    key: "berlin",
    time: "2001-01-01T10:30:00Z",
    data: { store: "berlin", cents: "much" },
  },
  { id: "4", key: "berlin", time: "2001-01-01T12:00:00Z", data: { store: "berlin", cents: 1 } },
];

it(
  "runs a projection of one file: start, publish, read, end",
  async () => {
    await installed.write("shop.proto", SCHEMA);
    await installed.write("sales.projection.ts", PROJECTION);
    await installed.write("sales.jsonl", EVENTS.map((event) => JSON.stringify(event)).join("\n"));
    const system = await installed.start();
    expect(system.stdout()).toContain("topic sales");

    const published = await installed.tidemark(
      "publish",
      "sales",
      "sales.jsonl",
      "--type",
      "shop.Sale",
    );
    expect(published).toMatchObject({
      exitCode: 1,
      stdout: "3 stored in sales, 1 rejected\n",
      stderr: expect.stringMatching(/^line 3: data\.cents: /),
    });

    const update = await installed.tidemark(
      "tail",
      "revenue",
      "--from-start",
      "--limit",
      "1",
      "--json",
    );
    expect(JSON.parse(update.stdout)).toMatchObject({
      projection: "revenue",
      key: "berlin",
      kind: "final",
      window: { startTime: "2001-01-01T10:00:00.000Z" },
      values: { sales: 2, cents: 1250 },
    });

    const listed = await installed.tidemark("list", "revenue");
    expect(listed.stdout).toMatch(
      /^2001-01-01 10:00:00 {2}2001-01-01 11:00:00 {2}berlin {6}2 {3}1250 {2}final/m,
    );
    const missing = await installed.tidemark("get", "revenue", "paris");
    expect(missing).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^error: .*no result for key "paris"/),
    });
    const status = await installed.tidemark("status", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({
      problems: [],
      projections: [{ projection: "revenue", books: { events: 3, counted: 3 }, deadLetters: 0 }],
    });
    const doctor = await installed.tidemark("doctor");
    expect(doctor, doctor.stdout).toMatchObject({ exitCode: 0 });

    await system.interrupt();
    expectNothingLeft();

    const after = await installed.tidemark("list", "revenue");
    expect(after).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^error: no running system was found here\nStart one with/),
    });
  },
  INSTALL_MS,
);

it(
  "drains when only npx is told to end",
  async () => {
    const system = await installed.start();
    await system.terminate();
    expectNothingLeft();
  },
  INSTALL_MS,
);

it(
  "says what is wrong with a projection before anything runs",
  async () => {
    await installed.write("sales.projection.ts", PROJECTION.replace('"cents"', '"cent"'));
    const failed = await installed.tidemark("start");
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain('did you mean "cents"?');
    expect(failed.stderr).not.toMatch(/^ {4}at /m);
  },
  INSTALL_MS,
);

it(
  "says where the demo runs",
  async () => {
    expect(await installed.tidemark("demo")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("It runs in a checkout of the repository"),
    });
  },
  INSTALL_MS,
);
