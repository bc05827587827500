/** A promotion tells subscribers what differs: all of it, and each thing once. */
import { Effect, Fiber } from "effect";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Commit, type Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind, type Result } from "../../proto/gen/tidemark/v1/result.ts";
import { unescapeKey } from "../../proto/subjects.ts";
import { RelayTarget } from "../ports/relay-target.ts";
import { ResultLog } from "../ports/result-log.ts";
import { Relay } from "../relay/relay.ts";
import { salesPlan } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { broker, turns, until, virtually, type Broker } from "../testkit/virtual-engine.ts";
import { findDifferences, type Differences } from "./differences.ts";
import { promote } from "./versions.ts";

const PLAN = salesPlan({ name: "sales" });
const EMPTY = Commit.decode(new Uint8Array(0));

interface Written {
  readonly version: number;
  readonly key: string;
  readonly start: number;
  readonly length: number;
  /** Undefined retracts. */
  readonly n: number | undefined;
}

type Table = Map<string, Update>;
const nameOf = (key: string, start: number, end: number) => `${key} ${start} ${end}`;

/** Commits as an engine would: the revision of a row rises with each of its updates. */
class Engine {
  readonly tables: Record<number, Table> = { 1: new Map(), 2: new Map() };
  readonly #log: Broker;

  constructor(log: Broker) {
    this.#log = log;
  }

  commit({ version, key, start, length, n }: Written): void {
    const end = start + length;
    const table = this.tables[version]!;
    const before = table.get(nameOf(key, start, end));
    const update: Update = {
      key,
      windowStart: start,
      windowEnd: end,
      ordinal: 0,
      kind: n === undefined ? Kind.KIND_RETRACTION : Kind.KIND_FINAL,
      revision: (before?.revision ?? 0) + 1,
      watermark: end,
      partition: 0,
      sequence: 1,
      index: 0,
      values: n === undefined ? [] : [{ kind: { $case: "intValue", value: String(n) } }],
    };
    table.set(nameOf(key, start, end), update);
    const data = Commit.encode({ ...EMPTY, columns: ["n"], updates: [update] }).finish();
    this.#log.results.append([{ subject: `results.sales.${version}.0`, data }], -1);
  }

  /** What a gateway lists: by key, then by start, without what was retracted. */
  async *list(version: number): AsyncGenerator<Result> {
    const rows = [...this.tables[version]!.values()]
      .filter(({ kind }) => kind !== Kind.KIND_RETRACTION)
      .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.windowStart - b.windowStart));
    for (const row of rows) {
      yield {
        projection: "sales",
        version,
        key: row.key,
        window: { start: row.windowStart, end: row.windowEnd },
        ordinal: row.ordinal,
        kind: row.kind,
        revision: row.revision,
        watermark: row.watermark,
        position: { partition: 0, sequence: 1, index: 0 },
        values: row.values.map((value) => ({ name: "n", value })),
      };
    }
  }

  /** Rows and their values, as they stand. */
  current(version: number): readonly string[] {
    return [...this.tables[version]!]
      .filter(([, { kind }]) => kind !== Kind.KIND_RETRACTION)
      .map(([name, { values }]) => `${name}: ${(values[0]!.kind as { value: string }).value}`)
      .toSorted();
  }
}

interface Heard {
  readonly version: number;
  readonly revision: number;
  readonly n: string | undefined;
}

const isUpdate = ({ subject }: { readonly subject: string }) =>
  subject.startsWith("projections.sales.");

/** Something behind all else in RESULTS, by which one sees that the relay has come so far. */
const MARKS = salesPlan({ name: "marks" });
const isMark = (subject: string) => subject.startsWith("projections.marks.");
const mark = (log: Broker): void => {
  const update = { key: "x", windowStart: 0, windowEnd: 1, ordinal: 0, kind: Kind.KIND_FINAL };
  const rest = { revision: 1, watermark: 0, partition: 0, sequence: 1, index: 0, values: [] };
  const data = Commit.encode({ ...EMPTY, updates: [{ ...update, ...rest }] }).finish();
  log.results.append([{ subject: "results.marks.1.0", data }], -1);
};

/** A consumer as SUBJECTS.md tells it: the greater version counts, then the greater revision. */
const consumed = (log: Broker): readonly string[] => {
  const rows = new Map<string, Heard>();
  for (const { headers, data } of log.projections.messages.filter(isUpdate)) {
    const header = Object.fromEntries(headers);
    const end = Number(header["Tidemark-Window-End"]);
    const key = unescapeKey(header["Tidemark-Key"]!);
    const name = nameOf(key, Number(header["Tidemark-Window-Start"]), end);
    const body = JSON.parse(new TextDecoder().decode(data)) as {
      kind: string;
      values: { n: number };
    };
    const heard = {
      version: Number(header["Tidemark-Version"]),
      revision: Number(header["Tidemark-Revision"]),
      n: body.kind === "retraction" ? undefined : String(body.values.n),
    };
    const has = rows.get(name);
    const outranked =
      has !== undefined &&
      (has.version > heard.version ||
        (has.version === heard.version && has.revision > heard.revision));
    if (!outranked) rows.set(name, heard);
  }
  return [...rows]
    .filter(([, { n }]) => n !== undefined)
    .map(([name, { n }]) => `${name}: ${n}`)
    .toSorted();
};

const relay = Effect.gen(function* () {
  const results = yield* ResultLog;
  const outlet = yield* RelayTarget;
  return new Relay({ target: "projections", plans: [PLAN, MARKS], results, outlet });
});

const written = fc.record({
  version: fc.constantFrom(1, 2),
  key: fc.constantFrom("a", "b", "c d"),
  start: fc.constantFrom(0, 10),
  length: fc.constantFrom(5, 10),
  n: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined, freq: 4 }),
});
/** At most one live window of a key starts at a time, as with every kind of window. */
const legal = (writes: readonly Written[]): readonly Written[] => {
  const live = new Map<string, number>();
  return writes.flatMap((write) => {
    const place = `${write.version} ${write.key} ${write.start}`;
    const length = live.get(place);
    if (write.n === undefined) {
      if (length === undefined) return [];
      live.delete(place);
      return [{ ...write, length }];
    }
    live.set(place, length ?? write.length);
    return [{ ...write, length: length ?? write.length }];
  });
};

/** The relay is killed now and then on its way to the end of RESULTS. */
const relayAll = (log: Broker, steps: number) =>
  Effect.gen(function* () {
    for (let life = 0; life < 4; life++) {
      const fiber = yield* Effect.forkScoped((yield* relay).run);
      yield* turns(steps);
      yield* Fiber.interrupt(fiber);
    }
    const marks = () => log.projections.messages.filter(({ subject }) => isMark(subject)).length;
    const before = marks();
    mark(log);
    const fiber = yield* Effect.forkScoped((yield* relay).run);
    yield* until(() => marks() > before);
    yield* Fiber.interrupt(fiber);
  });

test("whoever follows a promotion has the new version's results, whatever moved meanwhile", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(written, { maxLength: 30 }),
      fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30)),
      fc.constantFrom(0, 1, 2, 5, 13),
      (writes, cuts, steps) =>
        virtually(
          Effect.gen(function* () {
            const log = yield* broker;
            const engine = new Engine(log);
            const all = legal(writes);
            const [first, second, third] = cuts
              .map((cut) => Math.min(cut, all.length))
              .toSorted((a, b) => a - b);
            const write = (from?: number, to?: number, only?: number) =>
              all
                .slice(from, to)
                .filter(({ version }) => only === undefined || version === only)
                .forEach((one) => engine.commit(one));
            write(0, first);
            mark(log);
            const comparedAt = log.results.messages.at(-1)?.sequence ?? 0;
            // Both tables may be newer than `comparedAt`; only the old version still moves.
            write(first, second, 1);
            const found = yield* Effect.promise(() =>
              findDifferences(engine.list(1), engine.list(2), comparedAt),
            );
            write(second, third, 1);
            const versions = {
              live: 1,
              next: 2,
              routing: 0,
              promotion: 0,
              definitionChanged: true,
            };
            yield* promote(yield* ResultLog, "sales", versions, found as Differences);
            if (steps > 0) yield* relayAll(log, steps);
            else yield* relayAll(log, 200);
            expect(consumed(log)).toEqual(engine.current(2));
            // And it goes on: the old version is not heard of any more.
            write(third);
            yield* relayAll(log, 200);
            expect(consumed(log)).toEqual(engine.current(2));
            const heard = log.projections.messages
              .filter(isUpdate)
              .map(({ headers }) => JSON.stringify(headers));
            // Settling may say a row once more; nothing is said a third time.
            const times = heard.map((one) => heard.filter((other) => other === one).length);
            expect(Math.max(0, ...times)).toBeLessThanOrEqual(2);
          }),
        ),
    ),
    { numRuns: propertyRuns(60) },
  ));

test("equal results are not published again", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const engine = new Engine(log);
      const row = { key: "a", start: 0, length: 10 };
      for (const version of [1, 2]) engine.commit({ ...row, version, n: 1 });
      engine.commit({ ...row, version: 2, start: 10, n: 2 });
      const found = yield* Effect.promise(() => findDifferences(engine.list(1), engine.list(2), 3));
      expect(found).toMatchObject({ changed: 1, retracted: 0 });
      const versions = { live: 1, next: 2, routing: 0, promotion: 0, definitionChanged: false };
      yield* promote(yield* ResultLog, "sales", versions, found as Differences);
      yield* relayAll(log, 200);
      const bodies = log.projections.messages
        .filter(isUpdate)
        .map(({ data }) => JSON.parse(new TextDecoder().decode(data)) as object);
      expect(bodies).toMatchObject([
        { version: 1, window: { start: 0 } },
        { version: 2, window: { start: 10 }, values: { n: 2 } },
      ]);
    }),
  ));

test("differences of many parts go out whole, each once, through kills; too many are refused", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const engine = new Engine(log);
      const long = (index: number) => `${"k".repeat(1_500)}${String(index).padStart(4, "0")}`;
      const row = { start: 0, length: 10 };
      for (let index = 0; index < 700; index++) {
        engine.commit({ ...row, version: 1, key: long(index), n: 1 });
        if (index % 2 === 0) engine.commit({ ...row, version: 2, key: long(index), n: 2 });
      }
      const at = log.results.messages.at(-1)!.sequence;
      const found = (yield* Effect.promise(() =>
        findDifferences(engine.list(1), engine.list(2), at),
      )) as Differences;
      expect(found).toMatchObject({ changed: 350, retracted: 350 });
      expect(found.fragments.length).toBeGreaterThan(1);
      expect(
        yield* Effect.promise(() => findDifferences(engine.list(1), engine.list(2), at, 0)),
      ).toHaveProperty("limitBytes");
      const versions = { live: 1, next: 2, routing: 0, promotion: 0, definitionChanged: true };
      yield* promote(yield* ResultLog, "sales", versions, found);
      yield* relayAll(log, 3);
      expect(log.projections.messages.filter(isUpdate)).toHaveLength(1_400);
      expect(consumed(log)).toEqual(engine.current(2));
    }),
  ));
