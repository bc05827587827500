/**
 * What joins give, written down a second time, naively: nested loops over all events that were accepted, no
 * order, no state, no timers. Properties hold the engine against it. It must not import anything of the
 * engine.
 */
export interface ModelEvent {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  /** Which sides it is on: one, both or none. */
  readonly left: boolean;
  readonly right: boolean;
  /** As-of joins: a right event that takes the row away. */
  readonly deletes: boolean;
  /** Joins may ask for equal colours. */
  readonly colour: number;
  /** From when on it is a row of a table, where that is later than its time. */
  readonly seenFrom?: number;
}

export interface ModelResult {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly left: string | null;
  readonly right: string | null;
}

interface Known extends ModelResult {
  /** Published once the watermark is there. */
  readonly from: number;
}

/**
 * Which events of a log are in time, and what the watermark is in the end. The right side may be a table,
 * whose rows are never late.
 */
export const acceptEvents = (
  log: readonly ModelEvent[],
  maxOutOfOrdernessMs: number,
  table: boolean,
) => {
  const accepted: ModelEvent[] = [];
  const late: ModelEvent[] = [];
  let watermark = -Infinity;
  for (const event of log) {
    if (event.left || event.right) {
      if (watermark < event.time) accepted.push(event);
      else if (event.left || !table) late.push(event);
      else accepted.push({ ...event, seenFrom: watermark + 1 });
    }
    watermark = Math.max(watermark, event.time - maxOutOfOrdernessMs - 1);
  }
  return { accepted, late, watermark };
};

export interface IntervalModel {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly mode: "inner" | "left" | "right" | "full" | "semi" | "anti";
  readonly equalColours: boolean;
}

const pairOf = (l: ModelEvent, r: ModelEvent): Known => {
  const [earlier, later] = [Math.min(l.time, r.time), Math.max(l.time, r.time)];
  return { key: l.key, start: earlier, end: later + 1, left: l.id, right: r.id, from: later };
};

export const intervalModel = (
  accepted: readonly ModelEvent[],
  { beforeMs, afterMs, mode, equalColours }: IntervalModel,
  watermark: number,
): readonly ModelResult[] => {
  const lefts = accepted.filter((event) => event.left);
  const rights = accepted.filter((event) => event.right);
  const partners = (l: ModelEvent, r: ModelEvent) =>
    l.key === r.key &&
    l.time - beforeMs <= r.time &&
    r.time <= l.time + afterMs &&
    (!equalColours || l.colour === r.colour);
  const alone = (event: ModelEvent, wait: number) => {
    // Where all partners lie in the past, it is known at once that there was none.
    const from = wait < 0 ? event.time : event.time + wait + 1;
    return { key: event.key, start: event.time, end: from + 1, from };
  };
  const results: Known[] = [];
  for (const l of lefts) {
    const pairs = rights.filter((r) => partners(l, r)).map((r) => pairOf(l, r));
    if (["inner", "left", "right", "full"].includes(mode)) results.push(...pairs);
    if (["left", "full", "anti"].includes(mode) && pairs.length === 0) {
      results.push({ ...alone(l, afterMs), left: l.id, right: null });
    }
    if (mode === "semi" && pairs.length > 0) {
      const first = Math.min(...pairs.map((pair) => pair.end));
      const start = Math.min(...pairs.filter(({ end }) => end === first).map((pair) => pair.start));
      results.push({ key: l.key, start, end: first, left: l.id, right: null, from: first - 1 });
    }
  }
  for (const r of rights) {
    if (!["right", "full"].includes(mode) || lefts.some((l) => partners(l, r))) continue;
    results.push({ ...alone(r, beforeMs), left: null, right: r.id });
  }
  return known(results, watermark);
};

export interface AsOfModel {
  readonly ttlMs: number;
  readonly mode: "inner" | "left";
  readonly equalColours: boolean;
}

export const asOfModel = (
  accepted: readonly ModelEvent[],
  { ttlMs, mode, equalColours }: AsOfModel,
  watermark: number,
): readonly ModelResult[] => {
  const results = accepted.flatMap((l): Known[] => {
    if (!l.left) return [];
    const { key, time } = l;
    const seen = accepted.filter((r) => r.right && r.key === key && (r.seenFrom ?? r.time) <= time);
    const newest = Math.max(...seen.map((r) => r.time));
    const last = seen.filter((r) => r.time === newest).at(-1);
    const there = last !== undefined && !last.deletes && time < last.time + ttlMs;
    const right = there && (!equalColours || l.colour === last.colour) ? last.id : null;
    if (right === null && mode === "inner") return [];
    return [{ key, start: time, end: time + 1, left: l.id, right, from: time + 1 }];
  });
  return known(results, watermark);
};

const known = (results: readonly Known[], watermark: number): readonly ModelResult[] =>
  results
    .filter(({ from }) => watermark >= from)
    .map(({ key, start, end, left, right }) => ({ key, start, end, left, right }));

/** In an order of their own, to be compared. */
export const sorted = (results: readonly ModelResult[]): readonly string[] =>
  results
    .map(({ key, start, end, left, right }) => `${key} [${start}, ${end}) ${left} ${right}`)
    .toSorted();
