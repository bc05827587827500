/**
 * What rows folds and global windows make (decision 023), told without the engine: from the events of one
 * partition, in log order.
 */

export interface PaymentEvent {
  readonly key: string;
  readonly time: number;
  readonly amount: number;
}

/** What the model knows of a result: a row of the table, or that there is none any more. */
export interface Row {
  readonly time: number;
  readonly start: number;
  readonly end: number;
  readonly cents: number;
  readonly payments: number;
  readonly retracts: boolean;
}

/** An event of this amount makes the reducer forget its key, one of the other makes it throw. */
export const FORGETS = 50;
export const THROWS = 60;

export interface Spent {
  readonly cents: bigint;
  readonly payments: number;
}

export const FOLD = {
  kind: "fold",
  state: (): Spent => ({ cents: 0n, payments: 0 }),
  reduce: ({ cents, payments }: Spent, { data }: { readonly data: unknown }) => {
    const paid = (data as { readonly cents: bigint }).cents;
    // As FORGETS and THROWS: a function of a definition is known by its text.
    if (paid === 50n) return undefined;
    if (paid === 60n) throw new Error("no such payment");
    return { cents: cents + paid, payments: payments + 1 };
  },
  values: {
    cents: { type: "integer", of: ({ cents }: Spent) => cents },
    payments: { type: "integer", of: ({ payments }: Spent) => payments },
  },
};

/** Sorts the events that were in time, and goes through them once. */
export const foldRowsOf = (
  key: string,
  log: readonly PaymentEvent[],
  ttlMs: number,
  outOfOrderness: number,
): readonly Row[] => {
  let watermark = -Infinity;
  const inTime = log.filter(({ time }) => {
    const before = watermark;
    watermark = Math.max(watermark, time - outOfOrderness - 1);
    return time > before;
  });
  const rows: Row[] = [];
  let state: { start: number; cents: number; payments: number; last: number } | undefined;
  const add = (end: number, retracts: boolean): void => {
    const { start, cents, payments } = state!;
    rows.push({ time: end, start, end, cents, payments, retracts });
    if (retracts) state = undefined;
  };
  const events = inTime.filter((event) => event.key === key).toSorted((a, b) => a.time - b.time);
  for (const { time, amount } of [...events, { time: Infinity, amount: THROWS }]) {
    if (state !== undefined && state.last + ttlMs <= time) add(state.last + ttlMs, true);
    if (amount === THROWS) continue;
    if (amount === FORGETS) {
      if (state !== undefined) add(time + 1, true);
      continue;
    }
    const { start, cents, payments } = state ?? { start: time, cents: 0, payments: 0 };
    state = { start, cents: cents + amount, payments: payments + 1, last: time };
    add(time + 1, false);
  }
  return rows;
};

/** 0: no such trigger. */
export interface GlobalTriggers {
  readonly everyEvents: number;
  readonly everyEventTimeMs: number;
}

/** Without triggers each event is one. */
export const globalRowsOf = (
  key: string,
  log: readonly PaymentEvent[],
  { everyEvents, everyEventTimeMs }: GlobalTriggers,
  outOfOrderness: number,
): readonly Row[] => {
  const rows: Row[] = [];
  const number = everyEvents === 0 && everyEventTimeMs === 0 ? 1 : everyEvents || Infinity;
  const period = (watermark: number) => Math.floor(watermark / everyEventTimeMs);
  let watermark = -Infinity;
  let [cents, payments, newest, since] = [0, 0, -Infinity, 0];
  for (const event of log) {
    const publish = (): void => {
      const end = newest + 1;
      const time = Math.max(end, watermark + 1);
      rows.push({ time, start: -Infinity, end, cents, payments, retracts: false });
      since = 0;
    };
    if (event.key === key) {
      cents += event.amount;
      payments++;
      newest = Math.max(newest, event.time);
      if (++since === number) publish();
    }
    const after = Math.max(watermark, event.time - outOfOrderness - 1);
    const passes = watermark > -Infinity && period(after) > period(watermark);
    if (everyEventTimeMs > 0 && passes && since > 0) publish();
    watermark = after;
  }
  return rows;
};

/** Of rows that follow each other: what an order at `time` sees. */
export const lastRowAt = (
  time: number,
  rows: readonly Row[],
  { ttlMs, deletedFrom }: { readonly ttlMs: number; readonly deletedFrom: number },
): Row | undefined => {
  const row = rows.findLast((each) => each.time <= time);
  const gone = row === undefined || row.retracts || row.payments >= deletedFrom;
  return gone || time >= row.end + ttlMs ? undefined : row;
};
