/** SEMANTICS.md as properties: random logs through the engine against the naive model. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { runModel } from "../testkit/model.ts";
import type { ModelEvent, ModelSettings } from "../testkit/model.ts";
import { encodeBatch, salesPlan, topicPlan } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { digestHex, PartitionRun } from "../testkit/run.ts";
import { imbalance } from "./books-keeper.ts";

/** The long run: TIDEMARK_PROPERTY_RUNS=10000. */
const RUNS = propertyRuns(300);

const INGEST = 1_000_000;

interface LoggedBatch {
  readonly ingestTime: number;
  readonly events: readonly ModelEvent[];
}

const settingsArbitrary: fc.Arbitrary<ModelSettings> = fc.record({
  sizeMs: fc.integer({ min: 1, max: 40 }),
  offsetMs: fc.integer({ min: -50, max: 50 }),
  allowedLatenessMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })),
  maxOutOfOrdernessMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 })),
  maxFutureSkewMs: fc.constant(300),
  dedupeHorizonMs: fc.integer({ min: 0, max: 50 }),
});

const eventArbitrary = fc.record({
  id: fc.integer({ min: 0, max: 60 }).map(String),
  key: fc.constantFrom("a", "b", "ü", "dd", "", "e\u0000"),
  jitter: fc.integer({ min: -80, max: 20 }),
  future: fc.boolean().map((yes) => yes),
  cents: fc.option(fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }), { nil: undefined }),
  weight: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }), {
    nil: undefined,
  }),
  step: fc.nat(6),
});

const logArbitrary: fc.Arbitrary<LoggedBatch[]> = fc
  .array(
    fc.record({
      gap: fc.integer({ min: -5, max: 20 }),
      events: fc.array(eventArbitrary, { minLength: 1, maxLength: 12 }),
    }),
    {
      maxLength: 12,
    },
  )
  .map((batches) => {
    let ingestTime = INGEST;
    let time = -40;
    return batches.map(({ gap, events }) => {
      ingestTime += gap;
      return {
        ingestTime,
        events: events.map((event, index) => {
          time += event.step;
          const ahead = event.future && index % 7 === 6;
          return {
            id: event.id,
            key: event.key,
            time: ahead ? ingestTime + 301 + event.step : time + event.jitter,
            ingestTime,
            cents: event.cents,
            weight: event.weight,
          };
        }),
      };
    });
  });

const encode = (batch: LoggedBatch): Uint8Array =>
  encodeBatch(
    batch.events.map((event) => ({
      id: event.id,
      key: event.key,
      time: event.time,
      ...(event.cents === undefined ? {} : { cents: event.cents }),
      ...(event.weight === undefined ? {} : { weight: event.weight }),
    })),
    batch.ingestTime,
  );

const planOf = (settings: ModelSettings) =>
  salesPlan(
    {
      window: { kind: "tumbling", sizeMs: settings.sizeMs, offsetMs: settings.offsetMs },
      allowedLatenessMs: settings.allowedLatenessMs,
    },
    topicPlan(settings),
  );

const runEngine = (log: readonly LoggedBatch[], settings: ModelSettings): PartitionRun => {
  const run = new PartitionRun(planOf(settings));
  for (const batch of log) run.read(encode(batch)).take();
  return run;
};

const comparable = (run: PartitionRun) =>
  run.output.updates.map((update) => ({
    key: update.key,
    start: update.windowStart,
    kind: update.kind === Kind.KIND_FINAL ? "final" : "correction",
    revision: update.revision,
    values: update.values.map((value) =>
      value.kind === undefined ? null : String(value.kind.value),
    ),
  }));

test("sections 1-5: updates, dead letters and books equal the model's", () => {
  fc.assert(
    fc.property(logArbitrary, settingsArbitrary, (log, settings) => {
      const run = runEngine(log, settings);
      const model = runModel(
        log.flatMap((batch) => batch.events),
        settings,
      );
      expect(comparable(run)).toEqual(model.updates);
      const letters = (reason: number) =>
        run.output.deadLetters.filter((l) => l.reason === reason).map((l) => l.eventId);
      expect(letters(1)).toEqual(model.late);
      expect(letters(2)).toEqual(model.future);
      const { books } = run.core.progress();
      expect(books.counted).toBe(model.counted);
      expect(books.duplicate).toBe(model.duplicates);
      expect(imbalance(books)).toBe(0);
    }),
    { numRuns: RUNS },
  );
});

test("E6: batch boundaries change no result", () => {
  fc.assert(
    fc.property(
      logArbitrary,
      settingsArbitrary,
      fc.integer({ min: 1, max: 9 }),
      (log, settings, size) => {
        const events = log
          .flatMap((batch) => batch.events)
          .map((event) => ({ ...event, ingestTime: INGEST }));
        const chunks = (by: number): LoggedBatch[] =>
          Array.from({ length: Math.ceil(events.length / by) }, (_, i) => ({
            ingestTime: INGEST,
            events: events.slice(i * by, (i + 1) * by),
          }));
        const whole = comparable(runEngine(chunks(10_000), settings));
        expect(comparable(runEngine(chunks(size), settings))).toEqual(whole);
      },
    ),
    { numRuns: RUNS },
  );
});

test("E6: a restart at any batch, with drafts taken at other times, changes no byte", () => {
  fc.assert(
    fc.property(
      logArbitrary,
      settingsArbitrary,
      fc.infiniteStream(fc.boolean()),
      (log, settings, coin) => {
        const whole = runEngine(log, settings);
        const run = new PartitionRun(planOf(settings));
        for (const batch of log) {
          run.read(encode(batch));
          const [take, restart] = [coin.next().value, coin.next().value];
          if (take || restart) run.take();
          if (restart) run.restart();
        }
        run.take();
        expect(run.output).toEqual(whole.output);
        expect(digestHex(run.core)).toBe(digestHex(whole.core));
      },
    ),
    { numRuns: RUNS },
  );
});
