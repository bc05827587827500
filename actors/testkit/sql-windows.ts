/**
 * The windows of SEMANTICS.md in SQL: which tables there are, and for each kind of window how `answer` is filled
 * from `setting` and `log`. Local clocks are those of DuckDB, which has time zone data of its own.
 */
import type { ModelWindow } from "./model-windows.ts";

export const SCHEMA = `
create table setting (run integer, size bigint, advance bigint, "offset" bigint, gap bigint, lateness bigint,
                      disorder bigint);
create table calendar (run integer, zone varchar, unit varchar, "dayStart" bigint, "weekStart" integer,
                       "yearStart" integer);
create table custom (run integer, shape varchar, "throwsEvery" bigint, "offset" bigint, step bigint, lengths bigint[],
                     origin bigint, ratio bigint, reach bigint, before bigint, after bigint);
create table log (run integer, part integer, seq integer, tick bigint, grp varchar, time bigint, ingest bigint,
                  cents bigint, weight double);
create table answer (run integer, grp varchar, "start" bigint, "end" bigint, cents bigint, weight double);

create table stretch (zone varchar, since bigint, until bigint, ahead bigint, reached bigint);
create macro ahead(zone, instant) as epoch_ms(timezone(zone, make_timestamptz(instant * 1000))) - instant;
create macro clock(shown) as make_timestamp(shown * 1000);
`;

export const CLEAR =
  "truncate setting; truncate calendar; truncate custom; truncate log; truncate answer";

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

/**
 * Of each new zone, the stretches of time in which its clocks were as far ahead of UTC, and what they had shown at
 * the latest before each. Days, from 1960 to 2050, at whose ends clocks differ are halved until the change is found.
 */
const STRETCHES = `
with recursive day as (
  select zone, instant, ahead(zone, instant) as "from", ahead(zone, instant + 86400000) as "to"
  from (select distinct zone from calendar where zone not in (select zone from stretch)),
       range(-315619200000, 2524608000000, 86400000) days(instant)
),
halves as (
  select zone, instant as low, instant + 86400000 as high, "from", "to" from day where "from" <> "to"
  union all
  select zone, if(there = "from", middle, low), if(there = "from", high, middle), "from", "to"
  from (
    select *, ahead(zone, middle) as there
    from (select *, (low + high) // 2 as middle from halves where high - low > 1)
  )
),
began as (
  select zone, high as since, "to" as ahead from halves where high - low = 1
  union all
  select zone, -9007199254740991, "from" from day where instant = -315619200000
),
part as (
  select zone, since, ahead,
    lead(since, 1, 9007199254740991) over (partition by zone order by since) as until
  from began
)
insert into stretch
select zone, since, until, ahead,
  coalesce(max(until - 1 + ahead) over (partition by zone order by since
                                        rows between unbounded preceding and 1 preceding), -9007199254740991)
from part`;

/**
 * A period is that of the latest that clocks have shown, and so begins when they first show its beginning or later.
 * An hour is that of its stretch.
 */
const CALENDAR = `
with ${JUDGED},
shown as materialized (
  select judged.*, calendar.* exclude (run), since, until, ahead, greatest(time + ahead, reached) as shown
  from judged join calendar using (run) join stretch using (zone)
  where tick is null and since <= time and time < until
),
hourly as (
  select run, grp, greatest(since, hour - ahead) as "start", least(until, hour + 3600000 - ahead) as "end",
    cents, weight, watermark, lateness
  from (select *, epoch_ms(date_trunc('hour', clock(time + ahead))) as hour from shown where unit = 'hour')
),
period as materialized (
  select *, to_days("weekStart") + to_months("yearStart") as shift,
    case unit when 'day' then interval 1 day when 'week' then interval 7 day when 'month' then interval 1 month
      when 'quarter' then interval 3 month else interval 1 year end as length
  from shown where unit <> 'hour'
),
dated as materialized (
  select *, epoch_ms(day) + "dayStart" as "from", epoch_ms(day + length) + "dayStart" as "to"
  from (select *, date_trunc(unit, clock(shown - "dayStart") - shift) + shift as day from period)
),
beginning as materialized (
  select zone, local, min(greatest(since, local - ahead)) as begins
  from (select zone, "from" as local from dated union select zone, "to" from dated) join stretch using (zone)
  where greatest(since, local - ahead) < until
  group by zone, local
),
daily as (
  select run, grp, b.begins as "start", e.begins as "end", cents, weight, watermark, lateness
  from dated join beginning b on b.zone = dated.zone and b.local = "from"
    join beginning e on e.zone = dated.zone and e.local = "to"
)
insert into answer
select run, grp, "start", "end", cents, weight from (from hourly union all from daily)
where watermark < "end" - 1 + lateness`;

const CUSTOM = `
with ${JUDGED},
event as materialized (
  select judged.* exclude ("offset"), custom.* exclude (run)
  from judged join custom using (run)
  where tick is null and ("throwsEvery" = 0 or time % "throwsEvery" <> 0)
),
pattern as (
  select *, "offset" + step * n as "start",
    "offset" + step * n + lengths[1 + (n % len(lengths) + len(lengths)) % len(lengths)] as "end"
  from (
    select *, unnest(generate_series(
      cast(floor((time - list_max(lengths) - "offset") / step) as bigint),
      cast(floor((time - "offset") / step) as bigint))) as n
    from event where shape = 'pattern'
  )
),
powers as (
  select *, origin + cast(ratio ** n as bigint) as "start", origin + cast(ratio ** (n + reach) as bigint) as "end"
  from (select *, unnest(range(0, 15)) as n from event where shape = 'powers')
),
around as (
  select *, time - before as "start", time + after as "end" from event where shape = 'around'
)
insert into answer
select run, grp, "start", "end", cents, weight
from (select * exclude (n) from pattern union all select * exclude (n) from powers union all from around)
where "start" <= time and time < "end" and watermark < "end" - 1 + lateness`;

const GLOBAL = `
insert into answer
select run, grp, -9007199254740991, 9007199254740991, cents, weight from log where tick is null`;

export const FILL: { readonly [Kind in ModelWindow["kind"]]: readonly string[] } = {
  tumbling: [ALIGNED],
  hopping: [ALIGNED],
  sliding: [SLIDING],
  session: [SESSION],
  calendar: [STRETCHES, CALENDAR],
  custom: [CUSTOM],
  global: [GLOBAL],
};
