import fc from "fast-check";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { arbitraryKey, arbitraryValue } from "./arbitrary-commit.suite.ts";
import { commitMessage, commitOf, entriesOf, promotionMessage, recordOf } from "./commits.suite.ts";
import { temporaryFolder } from "./temporary-folder.suite.ts";
import { HOUR, updateOf } from "./commits.suite.ts";
import type { ResultEntry } from "./result-entry.ts";
import { resultOf } from "./result-row.ts";
import { ResultStore, StoreTaken } from "./result-store.ts";
import { START } from "./store-state.ts";

const RUNS = Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? 30);

const apply = (store: ResultStore, entries: readonly ResultEntry[]) => {
  const transaction = store.begin();
  for (const entry of entries) transaction.add(entry);
  const { sequence, record } = entries[entries.length - 1]!;
  return store.commit(transaction, { sequence, subject: record.subject, checksum: 7 });
};

const all = (store: ResultStore, over: Partial<Parameters<ResultStore["scan"]>[0]> = {}) => {
  const query = { projection: "departures", version: 1, keyPrefix: "", from: undefined };
  return store.scan({ ...query, to: undefined, ...over }).step(1e6, 1e6);
};

const utf8 = (text: string): Buffer => Buffer.from(text, "utf8");

const byKeyThenTime = (a: Result, b: Result): number =>
  Buffer.compare(utf8(a.key), utf8(b.key)) ||
  a.window!.start - b.window!.start ||
  a.window!.end - b.window!.end ||
  a.ordinal - b.ordinal;

/** What the store promises, in the simplest possible form. */
class Model {
  readonly rows = new Map<string, Result>();

  upsert(result: Result): void {
    const { projection, version, key, window, ordinal } = result;
    const name = JSON.stringify([projection, version, key, window!.start, window!.end, ordinal]);
    const old = this.rows.get(name);
    if (old === undefined || result.revision > old.revision) this.rows.set(name, result);
  }

  list(projection: string, version: number, prefix = "", from = -Infinity, to = Infinity) {
    return [...this.rows.values()]
      .filter((row) => row.projection === projection && row.version === version)
      .filter((row) => row.kind !== Kind.KIND_RETRACTION)
      .filter((row) => utf8(row.key).subarray(0, utf8(prefix).length).equals(utf8(prefix)))
      .filter((row) => row.window!.start >= from && row.window!.start < to)
      .sort(byKeyThenTime);
  }
}

const time = fc.oneof(
  fc.integer({ min: -4, max: 4 }).map((n) => n * HOUR),
  fc.constantFrom(-1, 1, -(2 ** 32), 2 ** 32, 2 ** 40 + 5, -(2 ** 52) - 1, 2 ** 53 - 1),
);

const columns = { departures: ["flights", "mean"], "per-day": ["a"] };

const upserts = fc.record({
  projection: fc.constantFrom("departures" as const, "per-day" as const),
  version: fc.constantFrom(1, 2, 256),
  updates: fc.array(
    fc
      .record({
        key: arbitraryKey,
        windowStart: time,
        length: fc.constantFrom(1, HOUR),
        kind: fc.integer({ min: 1, max: 4 }),
        revision: fc.integer({ min: 1, max: 4 }),
        ordinal: fc.constantFrom(0, 0, 0, 1, 2 ** 32 - 1),
        values: fc.array(arbitraryValue, { minLength: 1, maxLength: 1 }),
      })
      .map(({ length, ...update }): Update => ({
        ...updateOf("", 0, 0),
        ...update,
        windowEnd: Math.min(update.windowStart + length, Number.MAX_SAFE_INTEGER),
      })),
    { maxLength: 12 },
  ),
});

const readings = fc.record({
  projection: fc.constantFrom("departures" as const, "per-day" as const),
  version: fc.constantFrom(1, 2, 256),
  prefix: fc.oneof(fc.constant(""), arbitraryKey),
  from: fc.option(time, { nil: undefined }),
  to: fc.option(time, { nil: undefined }),
  page: fc.integer({ min: 1, max: 5 }),
  key: arbitraryKey,
  start: time,
});

describe("the store agrees with a sorted list", () => {
  it(
    "for every upsert, retraction, point read, prefix, range, page and restart",
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({ commits: fc.array(upserts, { minLength: 1 }), restart: fc.boolean() }),
          ),
          fc.array(readings, { minLength: 5, maxLength: 5 }),
          async (transactions, reads) => {
            const folder = temporaryFolder();
            let { store } = ResultStore.open(folder);
            const model = new Model();
            const numbers = new Map<string, number>();
            let sequence = 0;
            for (const { commits, restart } of transactions) {
              const records = commits.map(({ projection, version, updates }) => {
                const number = (numbers.get(`${projection}/${version}`) ?? 0) + 1;
                numbers.set(`${projection}/${version}`, number);
                const source = { projection, version, columns: columns[projection] };
                for (const update of updates) model.upsert(resultOf(source, update));
                const over = { projection, version, columns: columns[projection] };
                return recordOf(++sequence, commitMessage(commitOf(number, updates, over)));
              });
              const outcome = await apply(store, entriesOf(records));
              expect(outcome.missed).toEqual([]);
              const updates = commits.reduce((sum, commit) => sum + commit.updates.length, 0);
              expect(outcome.applied + outcome.stale).toBe(updates);
              if (restart) {
                await store.close();
                store = ResultStore.open(folder).store;
              }
              expect(store.position.sequence).toBe(sequence);
            }
            for (const read of reads) check(store, model, read);
            await store.close();
          },
        ),
        { numRuns: RUNS },
      );
    },
    Math.max(60_000, RUNS * 1_000),
  );

  const check = (
    store: ResultStore,
    model: Model,
    {
      projection,
      version,
      prefix,
      from,
      to,
      page,
      key,
      start,
    }: typeof readings extends fc.Arbitrary<infer A> ? A : never,
  ) => {
    const query = { projection, version, keyPrefix: prefix, from, to };
    const wanted = model.list(projection, version, prefix, from, to);
    expect(store.scan(query).step(1e6, 1e6)).toEqual(wanted);

    const paged: Result[] = [];
    let scan = store.scan(query);
    for (;;) {
      paged.push(...scan.step(page, page));
      expect(scan.hasMore()).toBe(paged.length < wanted.length);
      if (scan.last === undefined || scan.done) break;
      const { last } = scan;
      scan = store.scan(query);
      expect(scan.goOnAfter(last)).toBe(true);
    }
    expect(paged).toEqual(wanted);

    const rows = model.list(projection, version);
    for (const sought of [key, ...rows.map((row) => row.key)]) {
      const windows = rows.filter((row) => row.key === sought);
      expect(store.get(projection, version, sought, undefined)).toEqual(windows.at(-1));
      for (const at of [start, ...windows.map((row) => row.window!.start)]) {
        const found = windows.findLast((row) => row.window!.start === at);
        expect(store.get(projection, version, sought, at)).toEqual(found);
      }
    }
    expect(store.version(projection, version)?.results ?? 0).toBe(rows.length);
  };
});

const zeroSecondPage = (file: Buffer): Buffer => {
  const pageSize = file.readUInt32LE(48);
  return file.fill(0, pageSize, 2 * pageSize);
};

describe("the store", () => {
  it("takes keys of 1,024 bytes, whatever the bytes", async () => {
    const { store } = ResultStore.open(temporaryFolder());
    const keys = ["\0".repeat(1024), "\u{10ffff}".repeat(256), "\u0001".repeat(1024)];
    const updates = keys.map((key, i) => updateOf(key, 0, i));
    await apply(store, entriesOf([recordOf(1, commitMessage(commitOf(1, updates)))]));
    keys.forEach((key) => expect(store.get("departures", 1, key, 0)?.key).toBe(key));
    expect(all(store, { keyPrefix: keys[1]! })).toHaveLength(1);
    await store.close();
  });

  it("says that something is missing when a key is too long for a row, and goes on", async () => {
    const { store } = ResultStore.open(temporaryFolder());
    const updates = [updateOf("x".repeat(3_000), 0, 1), updateOf("y", 0, 2)];
    const outcome = await apply(
      store,
      entriesOf([recordOf(1, commitMessage(commitOf(1, updates)))]),
    );
    expect(outcome).toMatchObject({ applied: 1, refused: 1 });
    expect(store.version("departures", 1)).toMatchObject({ results: 1, missing: 1 });
    await store.close();
  });

  it("S2: an older revision does not bring a retracted window back", async () => {
    const { store } = ResultStore.open(temporaryFolder());
    const retraction = { kind: Kind.KIND_RETRACTION, revision: 2, values: [] };
    const step = (number: number, over: Partial<Update>) =>
      apply(
        store,
        entriesOf([recordOf(number, commitMessage(commitOf(number, [updateOf("a", 0, 1, over)])))]),
      );
    await step(1, {});
    await step(2, retraction);
    expect(store.get("departures", 1, "a", undefined)).toBeUndefined();
    expect(await step(3, { revision: 1 })).toMatchObject({ stale: 1 });
    expect(store.get("departures", 1, "a", undefined)).toBeUndefined();
    expect(store.version("departures", 1)?.results).toBe(0);
    await step(4, { revision: 3 });
    expect(store.get("departures", 1, "a", undefined)?.revision).toBe(3);
    await store.close();
  });

  it("S3: counts the commits that it did not see, per task, and keeps the count", async () => {
    const folder = temporaryFolder();
    let { store } = ResultStore.open(folder);
    const record = (sequence: number, number: number, partition: number, over = {}) =>
      recordOf(sequence, commitMessage(commitOf(number, [], { partition, ...over })));
    const outcome = await apply(
      store,
      entriesOf([record(1, 1, 0), record(2, 4, 1), record(3, 2, 0), record(9, 6, 1)]),
    );
    expect(outcome.missed).toEqual([
      { projection: "departures", version: 1, partition: 1, expected: 1, found: 4 },
      { projection: "departures", version: 1, partition: 1, expected: 5, found: 6 },
    ]);
    await store.close();
    store = ResultStore.open(folder).store;
    expect(store.version("departures", 1)?.missing).toBe(4);
    expect([...store.version("departures", 1)!.tasks.values()]).toEqual([
      { partition: 0, number: 2, sequence: 3, watermark: 2_000, idle: false },
      { partition: 1, number: 6, sequence: 9, watermark: 6_000, idle: false },
    ]);
    await store.close();
  });

  it("S3: a commit whose first parts were trimmed is a missed one", async () => {
    const { store } = ResultStore.open(temporaryFolder());
    const part = (partIndex: number) =>
      recordOf(partIndex + 1, commitMessage(commitOf(1, [], { partIndex, partCount: 3 })));
    const outcome = await apply(store, entriesOf([part(1), part(2)]));
    expect(outcome.missed).toHaveLength(1);
    expect(store.version("departures", 1)?.missing).toBe(1);
    await store.close();
  });

  it("keeps a snapshot as of its position while transactions go on", async () => {
    const { store } = ResultStore.open(temporaryFolder());
    const commit = (number: number) =>
      apply(
        store,
        entriesOf([
          recordOf(number, commitMessage(commitOf(number, [updateOf(`k${number}`, 0, number)]))),
        ]),
      );
    await commit(1);
    const before = store.snapshot();
    await commit(2);
    await commit(3);
    const after = store.snapshot();
    const query = { projection: "departures", version: 1, keyPrefix: "", from: undefined };
    const keys = (snapshot: typeof before) =>
      snapshot
        .scan({ ...query, to: undefined })
        .step(10, 10)
        .map((result) => result.key);
    expect([before.position, keys(before)]).toEqual([1, ["k1"]]);
    expect([...before.numbers("departures", 1)]).toEqual([[0, 1]]);
    await commit(4);
    expect([before.position, keys(before)]).toEqual([1, ["k1"]]);
    expect([after.position, keys(after)]).toEqual([3, ["k1", "k2", "k3"]]);
    before.close();
    after.close();
    await store.close();
  });

  it("remembers promotions", async () => {
    const folder = temporaryFolder();
    let { store } = ResultStore.open(folder);
    await apply(store, entriesOf([recordOf(5, promotionMessage("departures", 2))]));
    const snapshot = store.snapshot();
    expect(snapshot.promoted("departures")).toBe(2);
    snapshot.close();
    await store.close();
    store = ResultStore.open(folder).store;
    expect(store.promoted("departures")).toEqual({
      projection: "departures",
      version: 2,
      sequence: 5,
    });
    await store.close();
  });

  it("S5: a store of another layout is emptied", async () => {
    const folder = temporaryFolder();
    const { store } = ResultStore.open(folder);
    await apply(store, entriesOf([recordOf(1, commitMessage(commitOf(1, [updateOf("a", 0, 1)])))]));
    await store.close();
    const { open } = await import("lmdb");
    const raw = open({ path: folder, noSubdir: false, keyEncoding: "binary", encoding: "binary" });
    await raw.put(Buffer.from("\0layout"), Buffer.from("99"));
    await raw.close();

    const other = ResultStore.open(folder);
    expect(other.reset).toMatch(/layout 99/);
    expect(all(other.store)).toEqual([]);
    expect(other.store.position).toEqual(START);
    await apply(
      other.store,
      entriesOf([recordOf(1, commitMessage(commitOf(1, [updateOf("a", 0, 1)])))]),
    );
    expect(all(other.store)).toHaveLength(1);
    await other.store.close();
  });

  it.each([
    ["something else", () => Buffer.alloc(64 * 1024, "no database"), /no LMDB database/],
    ["cut within the first page", (file: Buffer) => file.subarray(0, 100), /cut short/],
    [
      "cut before its rows",
      (file: Buffer) => file.subarray(0, 2 * file.readUInt32LE(48)),
      /cut short/,
    ],
    ["a file whose second page is zeros", zeroSecondPage, /second meta page/],
  ])("S5: %s is put aside", async (_name, damage, reason) => {
    const folder = temporaryFolder();
    const file = join(folder, "data.mdb");
    const first = ResultStore.open(folder);
    expect(first.reset).toBeUndefined();
    const one = entriesOf([recordOf(1, commitMessage(commitOf(1, [updateOf("a", 0, 1)])))]);
    await apply(first.store, one);
    await first.store.close();
    writeFileSync(file, damage(readFileSync(file)));

    const { store, reset } = ResultStore.open(folder);
    expect(reset).toMatch(reason);
    expect(all(store)).toEqual([]);
    expect(existsSync(`${file}.unreadable`)).toBe(true);
    await apply(store, one);
    expect(all(store)).toHaveLength(1);
    await store.close();
  });

  it("does not write over what another process wrote", async () => {
    const folder = temporaryFolder();
    const { store } = ResultStore.open(folder);
    const { store: other } = ResultStore.open(folder);
    await apply(other, entriesOf([recordOf(1, commitMessage(commitOf(1, [updateOf("a", 0, 1)])))]));
    await expect(
      apply(store, entriesOf([recordOf(1, commitMessage(commitOf(1, [updateOf("b", 0, 1)])))])),
    ).rejects.toThrow(StoreTaken);
    store.reload();
    expect(store.position.sequence).toBe(1);
    expect(all(store).map((result) => result.key)).toEqual(["a"]);
    await store.close();
    await other.close();
  });
});
