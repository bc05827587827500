/**
 * Cases in the words of a test:
 *
 *   testProjection(revenueByStore)
 *     .event({ key: "order-1", time: "2024-01-01T08:00:00Z", store: "x", amount: 5 })
 *     .watermark("2024-01-01T08:01:00Z")
 *     .expectUpdates({ key: "x", kind: "final", revenue: 5 })
 *     .expectNothing();
 *
 * Every `expect` runs the case so far, in all the ways in which `tidemark test` does, and throws at once.
 */
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import type {
  Account,
  Case,
  EventStep,
  Expectations,
  ExpectedDeadLetter,
  ExpectedUpdate,
  InlineTopic,
  Span,
  Step,
  Time,
} from "./case.ts";
import { renderFailures, runCase } from "./run-case.ts";
import type { CaseResult, RunOptions } from "./run-case.ts";

/** A case that did not give what it should; the message is the diff. */
export class CaseFailed extends Error {
  override readonly name = "CaseFailed";
  readonly result: CaseResult;

  constructor(result: CaseResult) {
    super(`${result.name === "" ? "the case" : result.name} failed\n${renderFailures(result)}`);
    this.result = result;
  }
}

/** Runs a case; throws {@link CaseFailed} if it fails. */
export const assertCase = (given: Case, options: RunOptions = {}): CaseResult => {
  const result = runCase(given, options);
  if (!result.passed) throw new CaseFailed(result);
  return result;
};

export interface TestOptions {
  /** For a definition that came as data. A projection made by `projection()` brings its own. */
  readonly topic?: InlineTopic;
  /** By their names, where it reads several. */
  readonly topics?: NonNullable<Case["topics"]>;
  /** Of a join that came as data: the projection that is its table. */
  readonly tables?: NonNullable<Case["tables"]>;
  /** What the gateway's clock says at first. */
  readonly clock?: Time;
  readonly once?: boolean;
}

/** In which partitions something happens. */
export interface Where {
  readonly topic?: string;
  /** Of the topic; of the only one, where it is not named. */
  readonly partition?: number;
}

const placeOf = (where: number | Where): Where =>
  typeof where === "number" ? { partition: where } : where;

export class ProjectionTest {
  readonly #projection: Case["projection"];
  readonly #options: TestOptions;
  readonly #steps: Step[] = [];

  constructor(projection: Case["projection"], options: TestOptions) {
    this.#projection = projection;
    this.#options = options;
  }

  event(event: EventStep): this {
    this.#steps.push(event);
    return this;
  }

  /** Events in log order, each in a record batch of its own. */
  events(events: readonly EventStep[]): this {
    this.#steps.push(...events);
    return this;
  }

  /** Events that come in one record batch. */
  batch(events: readonly EventStep[]): this {
    this.#steps.push({ batch: events });
    return this;
  }

  /** Moves the watermark, of one partition, of one topic, or of all. */
  watermark(watermark: Time, where: number | Where = {}): this {
    this.#steps.push({ watermark, ...placeOf(where) });
    return this;
  }

  /** The partition, those of the topic, or all of them have been silent for so long. */
  tick(tick: Span, where: number | Where = {}): this {
    this.#steps.push({ tick, ...placeOf(where) });
    return this;
  }

  /** Moves the gateway's clock. */
  wait(wait: Span): this {
    this.#steps.push({ wait });
    return this;
  }

  /** Snapshot, fresh objects, restore. */
  restart(): this {
    this.#steps.push("restart");
    return this;
  }

  /** The updates since the last expectation of updates, in order. */
  expectUpdates(...updates: readonly ExpectedUpdate[]): this {
    return this.expect({ updates });
  }

  expectDeadLetters(...deadLetters: readonly ExpectedDeadLetter[]): this {
    return this.expect({ deadLetters });
  }

  /** All results as they stand, in any order. */
  expectResults(...results: readonly ExpectedUpdate[]): this {
    return this.expect({ results });
  }

  expectBooks(books: Readonly<Partial<Record<Account, number>>>): this {
    return this.expect({ books });
  }

  /** Neither an update nor a dead letter since the last expectation of them. */
  expectNothing(): this {
    return this.expect("nothing");
  }

  expect(expectation: Expectations | "nothing"): this {
    this.#steps.push({ expect: expectation });
    const { topic, topics, tables, clock, once = false } = this.#options;
    const steps = [...this.#steps];
    const given = {
      projection: this.#projection,
      steps,
      ...(topic === undefined ? {} : { topic }),
      ...(topics === undefined ? {} : { topics }),
      ...(tables === undefined ? {} : { tables }),
      ...(clock === undefined ? {} : { clock }),
    };
    assertCase(given, { once, unfinished: true });
    return this;
  }
}

export const testProjection = (
  projection: ProjectionDefinition | Readonly<Record<string, unknown>>,
  options: TestOptions = {},
): ProjectionTest => new ProjectionTest(projection, options);
