/**
 * SEMANTICS.md as properties. Random logs go through the engine, with restarts, and what comes out is what
 * two other readings of the rules say: a naive model, to the last update and bit, and SQL.
 *
 * The long run: TIDEMARK_PROPERTY_RUNS=10000 npx vitest run actors/task/semantics. It prints its seeds.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WindowDefinition } from "../../projections/definition/definition.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { windowMerges } from "../../projections/definition/check-window.ts";
import type { LogBatch } from "../testkit/case-log.ts";
import type { Row } from "../testkit/case.ts";
import { customAssigner } from "../testkit/custom-assigners.ts";
import type { ModelWindow } from "../testkit/model-windows.ts";
import { Content, Model } from "../testkit/model.ts";
import type { ModelEvent, ModelSettings, ModelValues } from "../testkit/model.ts";
import { encodeSale, PULSE, SALE, salesPlan, topicPlan } from "../testkit/plans.ts";
import { ProjectionRun } from "../testkit/projection-run.ts";
import { propertyRuns, propertySeed } from "../testkit/property-runs.ts";
import { randomRun, WINDOW_KINDS } from "../testkit/random-log.ts";
import type { Moment, RandomEntry, RandomRun } from "../testkit/random-log.ts";
import { SqlModel } from "../testkit/sql-model.ts";
import type { SqlRun } from "../testkit/sql-model.ts";

const RUNS = propertyRuns(60);
/** Windows of an event that custom assigners may return. */
const CUSTOM_WINDOWS_MAX = 32;

const definitionOf = (window: ModelWindow): WindowDefinition =>
  window.kind === "custom"
    ? {
        kind: "custom",
        assign: customAssigner(window),
        windowsMax: CUSTOM_WINDOWS_MAX,
        version: "",
      }
    : window;

const planOf = ({ settings, partitions }: RandomRun): ProjectionPlan => {
  const { window, by, each, allowedLatenessMs, ...topic } = settings;
  return salesPlan(
    {
      window: definitionOf(window),
      allowedLatenessMs,
      key: by === "key" ? { event: "key" } : { field: "store" },
      emit: { mode: each ? "each" : "final" },
    },
    topicPlan({ ...topic, partitions }),
  );
};

const batchOf = (
  partition: number,
  ingestTime: number,
  events: readonly ModelEvent[],
  type = SALE.name,
): LogBatch => ({
  entry: "batch",
  path: "",
  lane: partition,
  ingestTime,
  events: events.map(({ id, key, time, store, cents, weight }) => ({
    path: "",
    id,
    type,
    key,
    time,
    lane: partition,
    ingest: ingestTime,
    payload: encodeSale({
      id,
      key,
      time,
      store,
      ...(cents === undefined ? {} : { cents }),
      ...(weight === undefined ? {} : { weight }),
    }),
  })),
});

/** An event of a type that is not read: it only moves the watermark. */
const pulse = (partition: number, { time, ingestTime }: Moment): LogBatch => {
  const event = { key: "", store: "", cents: undefined, weight: undefined };
  return batchOf(partition, ingestTime, [{ ...event, id: `pulse ${time}`, time }], PULSE.name);
};

/** Through the engine, with restarts; from the first event of each partition to the end of time. */
const runEngine = (random: RandomRun): ProjectionRun => {
  const run = new ProjectionRun(planOf(random));
  const partitions = Array.from({ length: random.partitions }, (_, partition) => partition);
  for (const partition of partitions) run.read(pulse(partition, random.first));
  for (const { partition, entry, restart } of random.log) {
    if ("tick" in entry) run.tick(partition, entry.tick);
    else run.read(batchOf(partition, entry.ingestTime, entry.events));
    if (restart) run.restart();
  }
  for (const partition of partitions) run.read(pulse(partition, random.last));
  return run;
};

type Accepted =
  | { readonly tick: number }
  | (ModelEvent & { readonly group: string; readonly ingestTime: number });

/** The same through a model of each partition; and what these accepted, for SQL. */
const runModels = ({ settings, partitions, log, first, last }: RandomRun) =>
  Array.from({ length: partitions }, (_, partition) => {
    const model = new Model(settings);
    const accepted: Accepted[] = [];
    let number = 0;
    model.pass(first.time, first.ingestTime);
    for (const { entry } of log.filter((each) => each.partition === partition)) {
      model.read(entry);
      if ("tick" in entry) {
        accepted.push(entry);
        continue;
      }
      for (const event of entry.events) {
        if (!model.accepted.has(number++)) continue;
        accepted.push({ ...event, group: event[settings.by], ingestTime: entry.ingestTime });
      }
    }
    model.pass(last.time, last.ingestTime);
    return { model, accepted };
  });

const VALUES = ["sales", "cents", "least", "greatest", "meanWeight"] as const;

const textOf = (value: unknown): string | null => (value === null ? null : String(value));

const valuesOf = (row: Row) => VALUES.map((name) => textOf(row.get(`values.${name}`) ?? null));
const modelled = (values: ModelValues) => VALUES.map((name) => textOf(values[name]));

const windowOf = (row: Row): string =>
  `${String(row.get("key"))} [${String(row.get("start"))}, ${String(row.get("end"))})`;

/** What a reader sees at last: the newest update of each window that was not retracted. */
const resultsOf = (updates: readonly Row[]): Map<string, readonly (string | null)[]> => {
  const results = new Map<string, readonly (string | null)[]>();
  for (const row of updates) {
    if (row.get("kind") === "retraction") results.delete(windowOf(row));
    else results.set(windowOf(row), valuesOf(row));
  }
  return results;
};

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

const expectLettersAndBooks = (run: ProjectionRun, models: readonly Model[]): void => {
  const letters = (reason: string, fields: readonly string[]) =>
    run.deadLetters
      .filter((row) => row.get("reason") === reason)
      .map((row) => fields.map((name) => row.get(name)).join(" "))
      .sort();
  expect(letters("late", ["partition", "id", "start", "end", "lateness"])).toEqual(
    models
      .flatMap(({ late }, partition) =>
        late.map(({ id, start, end, lateness }) => [partition, id, start, end, lateness].join(" ")),
      )
      .sort(),
  );
  expect(letters("future", ["id"])).toEqual(models.flatMap(({ future }) => future).sort());
  expect(letters("poison", ["id"])).toEqual(models.flatMap(({ poison }) => poison).sort());
  expect(run.deadLetters.length).toBe(
    sum(models, ({ late, future, poison }) => late.length + future.length + poison.length),
  );
  // E7: that the books balance after each batch is looked at by the run itself.
  expect(run.breaches).toEqual([]);
  expect(run.books).toMatchObject({
    counted: sum(models, (model) => model.counted),
    late: sum(models, (model) => model.late.length),
    future: sum(models, (model) => model.future.length),
    duplicate: sum(models, (model) => model.duplicate),
    conflict: sum(models, (model) => model.conflict),
    filtered: sum(models, (model) => model.filtered),
    invalid: 0,
    poison: sum(models, (model) => model.poison.length),
  });
};

/** Updates of each partition, in order; partitions may interleave. */
const expectUpdates = (run: ProjectionRun, models: readonly Model[]): void => {
  models.forEach((model, partition) => {
    const updates = run.updates.filter((row) => row.get("partition") === partition);
    expect(
      updates.map((row) => [windowOf(row), row.get("kind"), row.get("revision"), valuesOf(row)]),
    ).toEqual(
      model.updates.map(({ key, start, end, kind, revision, values }) => [
        `${key} [${start}, ${end})`,
        kind,
        revision,
        modelled(values),
      ]),
    );
  });
};

const expectOneFinalEach = (run: ProjectionRun): void => {
  const finals = run.updates.filter((row) => row.get("kind") === "final").map(windowOf);
  expect(new Set(finals).size).toBe(finals.length);
};

/** DuckDB and re-keyed logs add doubles in an order of their own: they are compared where every order gives the same. */
const comparable = (results: ReadonlyMap<string, readonly (string | null)[]>, exact: boolean) =>
  new Map(
    [...results].sort().map(([window, values]) => [window, exact ? values : values.slice(0, -1)]),
  );

/** Grouped by another field: one final a window, and at last what all partitions hold of it. */
const expectMerged = (run: ProjectionRun, models: readonly Model[]): void => {
  const parts = new Map<string, Content[]>();
  for (const model of models) {
    for (const [window, content] of model.contents()) {
      parts.set(window, [...(parts.get(window) ?? []), content]);
    }
  }
  const expected = [...parts].map(
    ([window, contents]) => [window, modelled(Content.of(contents).values)] as const,
  );
  expect(resultsOf(run.updates)).toEqual(new Map(expected));
  expectOneFinalEach(run);
};

/** More than there is disorder in any log: nothing is late. */
const PATIENCE_MS = 10_000;
/** A dedupe horizon, for what has been looked at. */
const NEVER_DUPLICATES = -1;

/** The log that a re-keyed projection reads is put together in an order of its own, which must not matter. */
const patient = ({ settings, ...random }: RandomRun): RandomRun => ({
  ...random,
  settings: { ...settings, allowedLatenessMs: PATIENCE_MS },
});

/** Re-keyed: one final a window that was not retracted, and at last what one partition would hold of all events. */
const expectRekeyed = (
  run: ProjectionRun,
  { settings, dyadic }: RandomRun,
  log: readonly Accepted[],
): void => {
  const whole = new Model({ ...settings, dedupeHorizonMs: NEVER_DUPLICATES });
  for (const entry of log) {
    if (!("tick" in entry)) whole.read({ ingestTime: entry.ingestTime, events: [entry] });
  }
  const expected = whole
    .contents()
    .map(([window, { values }]) => [window, modelled(values)] as const);
  expect(comparable(resultsOf(run.updates), dyadic)).toEqual(comparable(new Map(expected), dyadic));
  expectOneFinalEach(run);
};

let sql: SqlModel;
beforeAll(async () => {
  sql = await SqlModel.open();
});
afterAll(() => sql.close());

/** So many runs share a query. */
const QUERY_RUNS = 500;

interface Asked {
  readonly run: SqlRun;
  readonly random: RandomRun;
  readonly results: ReadonlyMap<string, readonly (string | null)[]>;
}

const askSql = async (kind: ModelSettings["window"]["kind"], asked: readonly Asked[]) => {
  for (let from = 0; from < asked.length; from += QUERY_RUNS) {
    const some = asked.slice(from, from + QUERY_RUNS);
    const runs = some.map(({ run }) => run);
    const answers = await sql.answer(kind, runs);
    some.forEach(({ results, random }, index) => {
      const log = fc.stringify(random);
      expect(comparable(results, random.dyadic), log).toEqual(
        comparable(answers[index]!, random.dyadic),
      );
    });
  }
};

const KINDS = (["key", "store"] as const).flatMap((by) =>
  WINDOW_KINDS.map((kind) => ({ kind, by })),
);

test.for(KINDS)(
  "$kind windows by $by: updates, dead letters and books are the model's, results also SQL's",
  { timeout: 3_600_000 },
  async ({ kind, by }) => {
    const seed = propertySeed();
    const started = performance.now();
    const asked: Asked[] = [];
    fc.assert(
      fc.property(randomRun(kind, by), (any) => {
        const rekeyed = by === "store" && !windowMerges(kind);
        const random = rekeyed ? patient(any) : any;
        const run = runEngine(random);
        const partitions = runModels(random);
        const models = partitions.map(({ model }) => model);
        const logs = partitions.map(({ accepted }) => accepted);
        expectLettersAndBooks(run, models);
        if (by === "key") expectUpdates(run, models);
        else if (rekeyed) expectRekeyed(run, random, logs.flat());
        else expectMerged(run, models);
        asked.push({
          random,
          run: { settings: random.settings, logs: rekeyed ? [logs.flat()] : logs },
          results: resultsOf(run.updates),
        });
      }),
      { numRuns: RUNS, seed },
    );
    await askSql(kind, asked);
    report(
      `${kind} by ${by}: ${RUNS} runs, seed ${seed}, ${Math.round((performance.now() - started) / 1000)} s`,
    );
  },
);

/** In the long run, which is to be repeatable. */
const report = (line: string): void => {
  if (process.env["TIDEMARK_PROPERTY_RUNS"] !== undefined) process.stdout.write(`${line}\n`);
};

/** The same events at the same ingest times, in record batches of one size. */
const rebatched = (random: RandomRun, size: number): RandomRun => {
  const log: RandomEntry[] = [];
  for (const { partition, entry, restart } of random.log) {
    if ("tick" in entry) log.push({ partition, entry, restart });
    else {
      for (let at = 0; at < entry.events.length; at += size) {
        const events = entry.events.slice(at, at + size);
        log.push({ partition, entry: { ...entry, events }, restart });
      }
    }
  }
  return { ...random, log };
};

test.for(WINDOW_KINDS)("E6, %s windows: batch boundaries change no result", (kind) => {
  fc.assert(
    fc.property(randomRun(kind), fc.integer({ min: 1, max: 5 }), (random, size) => {
      const whole = runEngine(random);
      const split = runEngine(rebatched(random, size));
      if (random.settings.each) {
        expect(resultsOf(split.updates)).toEqual(resultsOf(whole.updates));
      } else expect(split.updates).toEqual(whole.updates);
      expect(split.deadLetters).toEqual(whole.deadLetters);
      expect(split.books).toEqual(whole.books);
      expect(split.breaches).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});
