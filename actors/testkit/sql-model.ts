/**
 * SEMANTICS.md a third time, as SQL: what DuckDB makes of the events that were accepted (neither duplicate
 * nor in the future). It finds the watermark before each event, which windows it came in time for, and what
 * they hold. Many runs are answered by one query. Like the model it shares nothing with the engine.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { ModelSettings, ModelWindow } from "./model.ts";

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

const SCHEMA = `
create table setting (run integer, size bigint, advance bigint, "offset" bigint, gap bigint, lateness bigint,
                      disorder bigint);
create table log (run integer, part integer, seq integer, tick bigint, grp varchar, time bigint, ingest bigint,
                  cents bigint, weight double);
create table answer (run integer, grp varchar, "start" bigint, "end" bigint, cents bigint, weight double);
`;

/** Each event with the watermark as it stood before it, in the order of its partition's log. */
const JUDGED = `
judged as materialized (
  select *, coalesce(max(candidate) over before_it, -9007199254740991) as watermark
  from (
    select log.*, setting.* exclude (run),
      case when tick is null then time
           else last_value(time ignore nulls) over so_far
                + tick - last_value(ingest ignore nulls) over so_far
      end - disorder - 1 as candidate
    from log join setting using (run)
    window so_far as (partition by run, part order by seq)
  )
  window before_it as (partition by run, part order by seq
                       rows between unbounded preceding and 1 preceding)
)`;

const ALIGNED = `
with ${JUDGED}
insert into answer
select run, grp, start, start + size, cents, weight
from (
  select *, "offset" + advance * unnest(generate_series(
    cast(floor((time - size - "offset") / advance) as bigint) + 1,
    cast(floor((time - "offset") / advance) as bigint))) as start
  from judged where tick is null
)
where watermark < start + size - 1 + lateness`;

/** An event opens the window of its own time if that has not expired, and is in those of later times. */
const SLIDING = `
with ${JUDGED},
event as (select * from judged where tick is null),
opened as (
  select run, grp, time as until, min(seq) as since
  from event where watermark < time + lateness group by run, grp, time
),
counted as (
  select * from event
  where exists (
    select 1 from opened
    where opened.run = event.run and opened.grp = event.grp and opened.since <= event.seq
      and until >= event.time and until < event.time + size and event.watermark < until + lateness)
)
insert into answer
select run, grp, until - size + 1, until + 1, cents, weight
from counted join opened using (run, grp)
where time <= until and time > until - size and watermark < until + lateness`;

/** One event a step: the sessions of a key are a list, and an event takes those that it touches. */
const SESSION = `
with recursive ${JUDGED},
event as materialized (
  select *, row_number() over (partition by run, grp order by seq) as i from judged where tick is null
),
fold as (
  select distinct run, grp, 0::bigint as i,
    []::struct("start" bigint, "end" bigint, events bigint[])[] as sessions
  from event
  union all
  select run, grp, i,
    case when watermark >= until - 1 + lateness then sessions
         else list_append(
           list_filter(sessions, lambda s: not list_contains(touched, s)),
           {'start': since, 'end': until,
            'events': list_append(flatten(list_transform(touched, lambda s: s.events)), i)})
    end
  from (
    select *,
      list_min(list_append(list_transform(touched, lambda s: s.start), time)) as since,
      list_max(list_append(list_transform(touched, lambda s: s.end), time + gap)) as until
    from (
      select event.*, sessions,
        list_filter(sessions, lambda s: s.start <= time + gap and time <= s.end
                                        and watermark < s.end - 1 + lateness) as touched
      from fold join event on event.run = fold.run and event.grp = fold.grp and event.i = fold.i + 1
    )
  )
),
last as (select run, grp, arg_max(sessions, i) as sessions from fold group by run, grp),
session as (select run, grp, unnest(sessions) as s from last),
member as (select run, grp, s.start as since, s.end as until, unnest(s.events) as i from session)
insert into answer
select run, grp, since, until, cents, weight from member join event using (run, grp, i)`;

const GLOBAL = `
insert into answer
select run, grp, -9007199254740991, 9007199254740991, cents, weight from log where tick is null`;

const FILL: { readonly [Kind in ModelWindow["kind"]]: string } = {
  tumbling: ALIGNED,
  hopping: ALIGNED,
  sliding: SLIDING,
  session: SESSION,
  global: GLOBAL,
};

const ANSWER = `
select run, grp, "start"::double, "end"::double, count(*)::varchar, sum(cents)::varchar, min(cents)::varchar,
  max(cents)::varchar, avg(weight)
from answer group by run, grp, "start", "end"`;

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
    await this.#connection.run("truncate setting; truncate log; truncate answer");
    await this.#load(runs);
    await this.#connection.run(FILL[kind]);
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
    settings.closeSync();
    log.closeSync();
  }
}
