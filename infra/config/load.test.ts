import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "./errors.ts";
import { loadConfig, type LoadOptions } from "./load.ts";
import { planConfig } from "./plan.ts";

const PROTO =
  'syntax = "proto3"; package shop; message Sale { int64 cents = 1; string store = 2; }';
const PROJECTION = `
  import { count, field, projection, sum, topic, tumbling } from "tidemark";
  export const sales = topic("sales", { schemas: ["./shop.proto"], types: ["shop.Sale"] });
  const total: number = 1;
  export default projection("sales-by-store", {
    source: sales,
    key: field("store"),
    window: tumbling(\`\${total} hour\`),
    aggregates: { sales: count(), revenue: sum(field("cents")) },
  });`;

const folders: string[] = [];
let cwd = "";

beforeEach(async () => {
  // Resolved: on some systems the temporary folder is a link.
  cwd = await realpath(await mkdtemp(join(tmpdir(), "tidemark-config-")));
  folders.push(cwd);
});

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

const write = async (files: Readonly<Record<string, string>>): Promise<void> => {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), text);
  }
};

const load = (options: LoadOptions = {}) => loadConfig({ cwd, environment: {}, ...options });

const mistakesOf = async (options: LoadOptions = {}): Promise<readonly string[]> => {
  try {
    await load(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

const namesOf = async (options: LoadOptions = {}): Promise<readonly string[]> =>
  (await load(options)).projections.map((projection) => projection.name);

describe("a folder without anything", () => {
  it("runs the shipped projections with every default", async () => {
    const config = await load();
    expect(config.projections.map((each) => each.name)).toEqual([
      "departures-by-origin",
      "departures-by-destination",
      "revenue-by-store",
      "preferences",
      "suspicious-logins",
    ]);
    expect(config.topics.map((each) => each.name)).toEqual([
      "flights",
      "orders",
      "shopping",
      "logins",
    ]);
    expect(config).toMatchObject({
      gateway: {
        host: "127.0.0.1",
        port: 7070,
        reflection: true,
        maxEventBytes: 262_144,
        maxBatchEvents: 10_000,
        maxRequestBytes: 4_194_304,
      },
      metrics: { host: "127.0.0.1", port: 7071 },
      workers: availableParallelism(),
      nats: { url: undefined, requireFsync: true },
      redis: { url: undefined },
      dataDir: join(cwd, ".tidemark"),
      snapshotEveryMs: 5000,
      compactEveryMs: 600_000,
      retention: { resultsMs: 86_400_000, deadLettersMs: 1_209_600_000 },
      logLevel: "info",
    });
    expect(planConfig(config).map((each) => each.projections.length)).toEqual([2, 1, 1, 1]);
  });
});

describe("a folder with one projection file", () => {
  it("runs it, whatever kind of module it is", async () => {
    for (const [name, packageJson] of [
      ["sales.projection.ts", undefined],
      ["projection.ts", '{"type":"commonjs"}'],
      ["sales.projection.ts", '{"type":"module"}'],
      ["projections/anything.ts", undefined],
    ] as const) {
      cwd = await realpath(await mkdtemp(join(tmpdir(), "tidemark-config-")));
      folders.push(cwd);
      await write({
        [name]: PROJECTION,
        [join(dirname(name), "shop.proto")]: PROTO,
        ...(packageJson && { "package.json": packageJson }),
      });
      const config = await load();
      expect(
        config.projections.map((each) => each.name),
        name,
      ).toEqual(["sales-by-store"]);
      expect(config.topics[0]?.schemas).toEqual([join(cwd, dirname(name), "shop.proto")]);
      const [planned] = planConfig(config);
      expect(planned?.projections[0]).toMatchObject({ merged: true, reads: [true] });
      expect(config.dataDir).toBe(join(cwd, ".tidemark"));
    }
  });

  it("runs it by any name that is given, and nothing else", async () => {
    await write({
      "sub/mine.ts": PROJECTION,
      "sub/shop.proto": PROTO,
      "other.projection.ts": "throw new Error('not read')",
    });
    expect(await namesOf({ files: ["sub/mine.ts"] })).toEqual(["sales-by-store"]);
    expect(await namesOf({ config: join(cwd, "sub", "mine.ts") })).toEqual(["sales-by-store"]);
  });

  it("takes JavaScript, modules of its own, and several projections of one topic", async () => {
    const other = `
      import { count, projection, tumbling } from "tidemark";
      import { sales } from "./topics.mjs";
      export const a = projection("a", { source: sales, window: tumbling(1000), aggregates: { n: count() } });
      export default [a, projection("b", { source: sales, window: tumbling(5), aggregates: { n: count() } })];`;
    await write({
      "topics.mjs":
        'import { topic } from "tidemark"; export const sales = topic("sales", { schemas: ["shop.proto"], types: ["shop.Sale"] });',
      "shop.proto": PROTO,
      "one.projection.mjs": other,
      "two.projection.mjs": other.replace('"a"', '"c"').replace('"b"', '"d"'),
      "two.projection.test.mjs": "throw new Error('a test')",
    });
    expect((await namesOf()).toSorted()).toEqual(["a", "b", "c", "d"]);
    expect((await load()).topics).toHaveLength(1);
  });

  it("ignores code in projections/ that defines none", async () => {
    await write({
      "projections/helpers.ts": "export const x: number = 1;",
      "projections/sales.ts": PROJECTION,
      "projections/sales.test.ts": "throw new Error('a test')",
      "projections/types.d.ts": "export type X = 1;",
      "projections/shop.proto": PROTO,
    });
    expect(await namesOf()).toEqual(["sales-by-store"]);
  });
});

describe("tidemark.config.ts", () => {
  it("sets everything, in units that people use", async () => {
    await write({
      "sales.ts": PROJECTION,
      "shop.proto": PROTO,
      "tidemark.config.ts": `
        import { defineConfig } from "tidemark";
        import sales from "./sales";
        export default defineConfig({
          projections: [sales],
          gateway: { host: "0.0.0.0", port: 0, reflection: false, maxEventBytes: "64 KiB", maxBatchEvents: 5, maxRequestBytes: 1_000_000 },
          metrics: { host: "::1", port: 9000 },
          workers: 3,
          nats: { url: "nats://me:secret@10.0.0.5:4222", requireFsync: false },
          redis: { url: "rediss://10.0.0.5:6379/1" },
          dataDir: "data",
          snapshotEvery: "1 minute",
          retention: { results: "2 days", deadLetters: "1 hour" },
          logLevel: "debug",
        });`,
    });
    expect(await load()).toMatchObject({
      projections: [{ name: "sales-by-store" }],
      topics: [{ name: "sales" }],
      gateway: {
        host: "0.0.0.0",
        port: 0,
        reflection: false,
        maxEventBytes: 65_536,
        maxBatchEvents: 5,
        maxRequestBytes: 1_000_000,
      },
      metrics: { host: "::1", port: 9000 },
      workers: 3,
      nats: { url: "nats://me:secret@10.0.0.5:4222", requireFsync: false },
      redis: { url: "rediss://10.0.0.5:6379/1" },
      dataDir: join(cwd, "data"),
      snapshotEveryMs: 60_000,
      retention: { resultsMs: 172_800_000, deadLettersMs: 3_600_000 },
      logLevel: "debug",
    });
  });

  it("stands beside projection files, and its settings hold when files are named", async () => {
    await write({
      "sales.projection.ts": PROJECTION,
      "shop.proto": PROTO,
      "tidemark.config.mjs": "export default { workers: 2 };",
    });
    expect(await load()).toMatchObject({ workers: 2, projections: [{ name: "sales-by-store" }] });
    await write({ "tidemark.config.mjs": "export default { workers: 2, projections: [] };" });
    expect(await load({ files: ["sales.projection.ts"] })).toMatchObject({
      workers: 2,
      projections: [{ name: "sales-by-store" }],
    });
  });

  it("may be JSON all through", async () => {
    const topic = {
      name: "sales",
      schemas: ["shop.proto"],
      types: ["shop.Sale"],
      retentionMs: "1 day",
    };
    const projection = {
      name: "p",
      topic: "sales",
      window: { kind: "tumbling", sizeMs: "1 hour" },
      aggregates: { n: { fn: "count" } },
    };
    const json = JSON.stringify({ topics: [topic], projections: [projection] });
    await write({ "conf/tidemark.config.json": json, "conf/shop.proto": PROTO });
    const config = await load({ config: "conf/tidemark.config.json" });
    expect(config).toMatchObject({
      topics: [
        { schemas: [join(cwd, "conf", "shop.proto")], retentionMs: 86_400_000, partitions: 8 },
      ],
      projections: [{ name: "p", window: { sizeMs: 3_600_000 } }],
      dataDir: join(cwd, "conf", ".tidemark"),
    });
    expect(planConfig(config)).toHaveLength(1);
  });

  it("finds JSON files by their names, which may say for editors what schema they follow", async () => {
    const $schema = "./node_modules/tidemark/dist/schema/projection.schema.json";
    const window = { kind: "session", gapMs: "30 minutes" };
    const aggregates = { n: { fn: "count" } };
    const topics = [{ name: "sales", schemas: ["shop.proto"], types: ["shop.Sale"] }];
    await write({
      "shop.proto": PROTO,
      "tidemark.config.json": JSON.stringify({ $schema: "./config.json", topics }),
      "visits.projection.json": JSON.stringify({
        $schema,
        name: "visits",
        topic: "sales",
        window,
        aggregates,
      }),
      "projection.json": JSON.stringify([
        { name: "a", topic: "sales", window, aggregates },
        { name: "b", topic: "sales", window, aggregates },
      ]),
    });
    const [planned] = planConfig(await load());
    expect(planned?.projections.map(({ definition }) => definition.name).sort()).toEqual([
      "a",
      "b",
      "visits",
    ]);
    expect(planned?.projections[0]?.definition).toMatchObject({
      window: { kind: "session", gapMs: 1_800_000 },
    });
  });

  describe("a JSON file that was named", () => {
    const visits = (other: object = {}): string =>
      JSON.stringify({
        name: "visits",
        topic: "sales",
        window: { kind: "session", gapMs: "30 minutes" },
        aggregates: { n: { fn: "count" } },
        ...other,
      });
    const files = ["sub/h.projection.json"];

    it("reads a topic that a file beside it gives, and runs alone", async () => {
      await write({
        "sub/h.projection.json": visits(),
        "sub/aaa.projection.ts": "throw new Error('of no use here')",
        "sub/shop.projection.ts": PROJECTION,
        "sub/shop.proto": PROTO,
      });
      const config = await load({ files });
      expect(config.projections.map(({ name }) => name)).toEqual(["visits"]);
      expect(config.topics.map(({ name }) => name)).toEqual(["sales"]);
      expect(planConfig(config)).toHaveLength(1);
    });

    it("reads a topic of the configuration, and takes no other of it", async () => {
      const topics = ["sales", "other"].map((name) => ({
        name,
        schemas: ["shop.proto"],
        types: ["shop.Sale"],
      }));
      await write({
        "sub/h.projection.json": visits(),
        "tidemark.config.json": JSON.stringify({ topics }),
        "shop.proto": PROTO,
      });
      expect((await load({ files })).topics.map(({ name }) => name)).toEqual(["sales"]);
    });

    it("without its topic is told where topics come from, and what kept a file from giving it", async () => {
      await write({
        "sub/h.projection.json": visits(),
        "sub/shop.projection.ts": "throw new Error('broken')",
      });
      expect(await mistakesOf({ files })).toEqual([
        "sub/shop.projection.ts: cannot be loaded: line 1: broken",
        'sub/h.projection.json: topic: there is no topic "sales"; there are no topics. Define it in the ' +
          "topics of tidemark.config.json, or name a file with a projection that reads it",
      ]);
    });

    it("without a topic of a side is told so at that side, with the nearest and what to do", async () => {
      const topics = [{ name: "sales", schemas: ["shop.proto"], types: ["shop.Sale"] }];
      const of = (right: object) =>
        JSON.stringify({
          name: "own",
          kind: "join",
          left: { topic: "sale" },
          right,
          asOf: {},
          values: { id: { literal: 1 } },
        });
      await write({
        "sub/h.projection.json": `[${of({ projection: "vists" })}, ${visits()}]`,
        "tidemark.config.json": JSON.stringify({ topics }),
        "shop.proto": PROTO,
      });
      const told = await mistakesOf({ files });
      expect(told.join("\n")).toContain(
        'h.projection.json: [0].left.topic: there is no topic "sale"; did you mean "sales"? Define it in',
      );
      expect(told.join("\n")).toContain(
        'right.projection: there is no projection "vists"; did you mean "visits"? Name the file that',
      );
    });

    it("is a projection with mistakes, whatever its keys are", async () => {
      await write({ "sub/h.projection.json": visits({ topic: undefined, aggregates: undefined }) });
      expect(await mistakesOf({ files })).toEqual(
        expect.arrayContaining([expect.stringMatching(/^sub\/h\.projection\.json: topic: /)]),
      );
      await write({ "sub/h.projection.json": `[${visits()}, 7]` });
      expect((await mistakesOf({ files }))[0]).toMatch(/^sub\/h\.projection\.json: \[1\]: /);
      await write({ "sub/h.projection.json": JSON.stringify({ nmae: "visits", tpic: "sales" }) });
      const mistakes = await mistakesOf({ files });
      expect(mistakes.join("\n")).toContain('nmae: unknown key. Did you mean "name"?');
      expect(mistakes.join("\n")).not.toContain("workers");
    });
  });

  it("is overridden by the environment, and that by flags", async () => {
    await write({ "tidemark.config.ts": "export default { workers: 2, dataDir: 'd' };" });
    const environment = {
      TIDEMARK_WORKERS: "5",
      TIDEMARK_GATEWAY_PORT: "1_234",
      TIDEMARK_DATA_DIR: "/data",
      TIDEMARK_MAX_EVENT_BYTES: "100 KiB",
      TIDEMARK_SNAPSHOT_EVERY: "10 seconds",
      TIDEMARK_NATS_REQUIRE_FSYNC: "no",
      TIDEMARK_LOG_LEVEL: "",
      PATH: "/bin",
    };
    expect(await load({ environment })).toMatchObject({
      workers: 5,
      gateway: { port: 1234, maxEventBytes: 102_400 },
      dataDir: "/data",
      snapshotEveryMs: 10_000,
      nats: { requireFsync: false },
      logLevel: "info",
    });
    const overrides = { workers: 7, dataDir: "here", "gateway.port": undefined };
    expect(await load({ environment, overrides })).toMatchObject({
      workers: 7,
      dataDir: join(cwd, "here"),
      gateway: { port: 1234 },
    });
    await write({ "elsewhere.ts": "export default { workers: 9 };" });
    expect(await load({ environment: { TIDEMARK_CONFIG: "elsewhere.ts" } })).toMatchObject({
      workers: 9,
    });
  });
});

describe("mistakes", () => {
  it("in keys and values are all named, wherever they come from", async () => {
    await write({
      "tidemark.config.ts": `export default {
        gatway: {},
        gateway: { prot: 1, port: 70000, maxEventBytes: "2 MiB" },
        workers: 0,
        nats: { url: "localhost" },
        redis: { url: "http://me:secret@x:1" },
        metrics: 7,
        snapshotEvery: "often",
        logLevel: "verbose",
        projections: [],
      };`,
    });
    const environment = { TIDEMARK_WORKER: "1", TIDEMARK_METRICS_PORT: "x", TIDEMARK_ZZZ: "1" };
    expect(await mistakesOf({ environment })).toEqual([
      "TIDEMARK_WORKER: unknown variable. Did you mean TIDEMARK_WORKERS? Those that are read: docs/CONFIGURATION.md",
      "TIDEMARK_ZZZ: unknown variable. Those that are read: docs/CONFIGURATION.md",
      expect.stringMatching(
        /^tidemark\.config\.ts: gatway: unknown key\. Did you mean "gateway"\?/,
      ),
      expect.stringMatching(
        /^tidemark\.config\.ts: gateway\.prot: unknown key\. Did you mean "port"\?/,
      ),
      "tidemark.config.ts: metrics: must be an object, not 7",
      "tidemark.config.ts: gateway.port: must be a whole number, 0 to 65535, not 70000",
      "tidemark.config.ts: gateway.maxEventBytes: must be 1024 to 786432 bytes, not 2097152",
      'TIDEMARK_METRICS_PORT: must be a whole number, 0 to 65535, not "x"',
      "tidemark.config.ts: workers: must be a whole number, 1 to 1024, not 0",
      'tidemark.config.ts: nats.url: must be a URL such as "nats://127.0.0.1:4222"',
      'tidemark.config.ts: redis.url: must be a URL such as "redis://127.0.0.1:6379", not http://...',
      expect.stringMatching(
        /^tidemark\.config\.ts: snapshotEvery: must be a duration: .*, not "often"$/,
      ),
      'tidemark.config.ts: logLevel: must be one of "debug", "info", "warn", "error", not "verbose"',
    ]);
  });

  it("that show only together", async () => {
    expect(
      await mistakesOf({
        environment: {
          TIDEMARK_MAX_REQUEST_BYTES: "2 KiB",
          TIDEMARK_GATEWAY_PORT: "7071",
        },
      }),
    ).toEqual([
      "gateway.maxRequestBytes: is 2048, less than gateway.maxEventBytes, 262144",
      "metrics.port: is 7071, the port of the gateway",
    ]);
    expect(
      await mistakesOf({
        environment: {
          TIDEMARK_NATS_PORT: "4222",
          TIDEMARK_REDIS_PORT: "4222",
          TIDEMARK_REDIS_URL: "redis://10.0.0.5:6379",
        },
      }),
    ).toEqual([
      "redis.port: is for a server of Tidemark's own, but redis.url names another; leave one of them out",
      "redis.port: is 4222, the port of NATS",
    ]);
    await write({ "tidemark.config.ts": "export default { projections: [] };" });
    expect(await mistakesOf()).toEqual([
      "projections: there is no projection and no topic: nothing to run",
    ]);
  });

  it("in files name file and line", async () => {
    await write({ "a.projection.ts": "\n\nexport default 1 +;" });
    expect((await mistakesOf())[0]).toMatch(
      /^a\.projection\.ts: cannot be loaded: .*3:\d+: ERROR: /s,
    );
    await write({ "a.projection.ts": "\nnull.x;" });
    expect((await mistakesOf())[0]).toMatch(
      /^a\.projection\.ts: cannot be loaded: line \d+: Cannot read/,
    );
    await write({ "a.projection.ts": 'import "no-such-package";' });
    expect((await mistakesOf())[0]).toMatch(
      /^a\.projection\.ts: cannot be loaded: .*no-such-package/,
    );
    await write({ "a.projection.ts": PROJECTION.replace("sum(", 'sum("x" + ') });
    expect((await mistakesOf())[0]).toMatch(
      /^a\.projection\.ts: line \d+: projection "sales-by-store": /,
    );
    await write({ "a.projection.ts": "export const a = 1;" });
    expect(await mistakesOf()).toEqual([
      'a.projection.ts: exports no projection and no configuration: begin it with "export default ' +
        'projection(...)" or "export default defineConfig(...)"',
    ]);
    expect(await mistakesOf({ files: ["b.ts"] })).toEqual(["b.ts: no such file"]);
    expect(await mistakesOf({ config: "c.json" })).toEqual(["c.json: no such file"]);
    await write({ "c.json": "{" });
    expect((await mistakesOf({ config: "c.json" }))[0]).toMatch(/^c\.json: cannot be loaded: /);
  });

  it("in what a file of projections exports as data are those of a projection", async () => {
    const sales =
      'export const sales = topic("sales", { schemas: ["./shop.proto"], types: ["shop.Sale"] });';
    const head = `import { topic } from "tidemark"; ${sales}`;
    await write({
      "shop.proto": PROTO,
      "a.projection.ts": `${head} export default { name: "p", topic: "sales", windw: {}, agregates: {} };`,
    });
    const told = [
      expect.stringMatching(
        /^a\.projection\.ts: default\.windw: unknown key\. Did you mean "window"\? /,
      ),
      expect.stringMatching(
        /^a\.projection\.ts: default\.agregates: .* Did you mean "aggregates"\? /,
      ),
      'a.projection.ts: default.window: is missing; for example tumbling("1 hour")',
      expect.stringMatching(/^a\.projection\.ts: default\.aggregates: is empty; name at least one/),
    ];
    expect(await mistakesOf()).toEqual(told);
    expect(await mistakesOf({ files: ["a.projection.ts"] })).toEqual(told);
    await write({
      "a.projection.ts": `${head} export const p = { name: "p", topic: "sales", kind: "windo", window: {} };`,
    });
    expect(await mistakesOf()).toEqual([
      expect.stringMatching(
        /^a\.projection\.ts: p\.kind: must be one of .* did you mean "window"\?$/,
      ),
    ]);
    // What has the keys of a configuration is one, and helpers are nothing at all.
    await write({ "a.projection.ts": "export default { workers: 3, gatewy: {} };" });
    expect((await mistakesOf())[0]).toMatch(/^a\.projection\.ts: gatewy: unknown key/);
    await write({
      "a.projection.ts": `${PROJECTION} export const shared = { emit: { mode: "final" } };`,
    });
    expect((await load()).projections.map(({ name }) => name)).toEqual(["sales-by-store"]);
  });

  it("of several projections come at once, also those that show only with schemas", async () => {
    const wrong = PROJECTION.replace('field("cents")', 'field("cent")');
    const data = { name: "q", topic: "sales", window: { kind: "tumbling" }, aggregates: {} };
    await write({
      "shop.proto": PROTO,
      "a.projection.ts": wrong,
      "b.projection.json": JSON.stringify(data),
      "c.projection.ts": "export default 1 +;",
    });
    const environment = { TIDEMARK_WORKERS: "many" };
    expect(await mistakesOf({ environment })).toEqual([
      expect.stringMatching(
        /^b\.projection\.json: window\.sizeMs: is missing: it must be a duration/,
      ),
      expect.stringMatching(/^b\.projection\.json: aggregates: is empty/),
      expect.stringMatching(/^c\.projection\.ts: cannot be loaded: /),
      expect.stringMatching(/^TIDEMARK_WORKERS: must be a whole number/),
      'projection "sales-by-store": aggregates.revenue.of.field: event type shop.Sale has no field "cent"; ' +
        'did you mean "cents"?',
    ]);
  });

  it("in definitions given as data", async () => {
    const window = { kind: "tumbling", sizeMs: 1000 };
    const aggregates = { n: { fn: "count" } };
    const config = {
      topics: [{ name: "sales", schemas: ["x.proto"], types: ["A"], partitions: 0 }],
      projections: [
        { name: "p", topic: "sale", window, aggregates },
        { name: "q", topic: "sales", window, aggregates: { n: { fn: "cuont" } } },
        { name: "p", topic: "sale", window: { ...window, sizeMs: 5 }, aggregates },
      ],
    };
    await write({ "tidemark.config.json": JSON.stringify(config) });
    expect(await mistakesOf()).toEqual([
      "tidemark.config.json: topics[0].partitions: must be a whole number, 1 to 4096, not 0",
      expect.stringMatching(
        /^tidemark\.config\.json: projections\[1\]\.aggregates\.n\.fn: must be one of "count", .*, not "cuont"; did you mean "count"\?$/,
      ),
      'tidemark.config.json: projections[2]: two different projections are called "p"; the other is ' +
        "tidemark.config.json: projections[0]",
      'tidemark.config.json: projections[0].topic: there is no topic "sale"; there are no topics',
    ]);
  });

  it("in schemas and fields show when it is planned", async () => {
    const wrong = PROJECTION.replace('field("cents")', 'field("cent")');
    await write({ "a.projection.ts": wrong, "shop.proto": PROTO });
    const config = await load();
    expect(() => planConfig(config)).toThrow(
      'projection "sales-by-store": aggregates.revenue.of.field: event type shop.Sale has no field ' +
        '"cent"; did you mean "cents"?',
    );
    await write({ "shop.proto": PROTO.replace("int64 cents", "int64 cents cents") });
    expect(() => planConfig(config)).toThrow(
      `topic "sales": ${join(cwd, "shop.proto")}:1: is no valid .proto file: illegal token 'cents', '=' expected`,
    );
    await rm(join(cwd, "shop.proto"));
    expect(() => planConfig(config)).toThrow(
      `topic "sales": ${join(cwd, "shop.proto")}: no such file`,
    );
  });
});
