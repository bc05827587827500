/**
 * SEMANTICS.md a third time, as SQL: what DuckDB makes of the events that were accepted (neither duplicate
 * nor in the future). It finds the watermark before each event, which windows it came in time for, and what
 * they hold. Many runs are answered by one query. Like the model it shares nothing with the engine.
 */
import { BIGINT, DuckDBInstance, LIST } from "@duckdb/node-api";
import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import { WEEKDAYS, type CalendarWindow } from "../../projections/definition/definition.ts";
import type { ModelSettings } from "./model.ts";
import type { CustomShape, ModelWindow } from "./model-windows.ts";
import { CLEAR, FILL, SCHEMA } from "./sql-windows.ts";

/** In the order of a partition's log: an accepted event, or a tick. */
export type SqlEntry =
  | { readonly tick: number }
  | {
      readonly group: string;
      readonly time: number;
      readonly ingestTime: number;
      readonly cents: bigint | undefined;
      readonly weight: number | undefined;
    };

export interface SqlRun {
  readonly settings: ModelSettings;
  /** By partition. */
  readonly logs: readonly (readonly SqlEntry[])[];
}

/** By `key [start, end)`: the values, as text; the mean of the weights last. */
export type SqlResults = Map<string, readonly (string | null)[]>;

const ANSWER = `
select run, grp, "start"::double, "end"::double, count(*)::varchar, sum(cents)::varchar, min(cents)::varchar,
  max(cents)::varchar, avg(weight)
from answer group by run, grp, "start", "end"`;

/** Appends the row of a run whose windows have more to say than sizes. */
const appendWindow = {
  calendar: (table: DuckDBAppender, run: number, window: CalendarWindow): void => {
    const [hours, minutes] = (window.dayStart ?? "00:00").split(":").map(Number);
    table.appendInteger(run);
    table.appendVarchar(window.zone);
    table.appendVarchar(window.unit);
    table.appendBigInt(BigInt(hours! * 3_600_000 + minutes! * 60_000));
    table.appendInteger(WEEKDAYS.indexOf(window.weekStart ?? "monday"));
    table.appendInteger((window.yearStart ?? 1) - 1);
    table.endRow();
  },
  custom: (table: DuckDBAppender, run: number, window: CustomShape): void => {
    const numbers: Readonly<Record<string, unknown>> = { ...window };
    const number = (name: string) => table.appendBigInt(BigInt((numbers[name] as number) ?? 0));
    const lengths = window.shape === "pattern" ? window.lengths : [0];
    table.appendInteger(run);
    table.appendVarchar(window.shape);
    for (const name of ["throwsEvery", "offset", "step"]) number(name);
    table.appendList(lengths.map(BigInt), LIST(BIGINT));
    for (const name of ["origin", "ratio", "reach", "before", "after"]) number(name);
    table.endRow();
  },
} as const;

export class SqlModel {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async open(): Promise<SqlModel> {
    const options = { threads: "1", memory_limit: "1GiB" };
    const instance = await DuckDBInstance.create(":memory:", options);
    const connection = await instance.connect();
    await connection.run(SCHEMA);
    return new SqlModel(instance, connection);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  /** Of runs that have one kind of window. */
  async answer(kind: ModelWindow["kind"], runs: readonly SqlRun[]): Promise<readonly SqlResults[]> {
    await this.#connection.run(CLEAR);
    await this.#load(runs);
    for (const statement of FILL[kind]) await this.#connection.run(statement);
    const results: SqlResults[] = runs.map(() => new Map());
    const reader = await this.#connection.runAndReadAll(ANSWER);
    for (const [run, group, start, end, ...values] of reader.getRows()) {
      results[run as number]!.set(
        `${group as string} [${start as number}, ${end as number})`,
        values.map((value) => (value === null ? null : String(value))),
      );
    }
    return results;
  }

  async #load(runs: readonly SqlRun[]): Promise<void> {
    const settings = await this.#connection.createAppender("setting");
    const calendar = await this.#connection.createAppender("calendar");
    const custom = await this.#connection.createAppender("custom");
    const log = await this.#connection.createAppender("log");
    const whole = (value: number | bigint) => log.appendBigInt(BigInt(value));
    runs.forEach(({ settings: { window, ...rest }, logs }, run) => {
      settings.appendInteger(run);
      const size = "sizeMs" in window ? window.sizeMs : 0;
      const advance = "advanceMs" in window ? window.advanceMs : size;
      const offset = "offsetMs" in window ? window.offsetMs : 0;
      const gap = "gapMs" in window ? window.gapMs : 0;
      const { allowedLatenessMs, maxOutOfOrdernessMs } = rest;
      for (const value of [size, advance, offset, gap, allowedLatenessMs, maxOutOfOrdernessMs]) {
        settings.appendBigInt(BigInt(value));
      }
      settings.endRow();
      if (window.kind === "calendar") appendWindow.calendar(calendar, run, window);
      if (window.kind === "custom") appendWindow.custom(custom, run, window);
      logs.forEach((entries, partition) =>
        entries.forEach((entry, sequence) => {
          log.appendInteger(run);
          log.appendInteger(partition);
          log.appendInteger(sequence);
          if ("tick" in entry) {
            whole(entry.tick);
            for (let column = 0; column < 5; column++) log.appendNull();
          } else {
            log.appendNull();
            log.appendVarchar(entry.group);
            whole(entry.time);
            whole(entry.ingestTime);
            if (entry.cents === undefined) log.appendNull();
            else whole(entry.cents);
            if (entry.weight === undefined) log.appendNull();
            else log.appendDouble(entry.weight);
          }
          log.endRow();
        }),
      );
    });
    for (const appender of [settings, calendar, custom, log]) appender.closeSync();
  }
}
