/**
 * SEMANTICS.md written down a second time, naively: one partition, one event at a time, objects and
 * lists, no batches. Properties hold the engine against it. It must not import anything of the engine.
 */
import { boundsOf } from "./model-windows.ts";
import type { Bounds, BoundsAt, ModelWindow } from "./model-windows.ts";

export interface ModelEvent {
  readonly id: string;
  readonly key: string;
  readonly store: string;
  readonly time: number;
  readonly cents: bigint | undefined;
  readonly weight: number | undefined;
}

/** A record batch, or a tick. */
export type ModelEntry =
  | { readonly ingestTime: number; readonly events: readonly ModelEvent[] }
  | { readonly tick: number };

export interface ModelSettings {
  readonly window: ModelWindow;
  readonly by: "key" | "store";
  /** Publishes open windows that changed after each record batch. */
  readonly each: boolean;
  readonly allowedLatenessMs: number;
  readonly maxOutOfOrdernessMs: number;
  readonly maxFutureSkewMs: number;
  readonly dedupeHorizonMs: number;
}

export interface ModelUpdate {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly kind: "early" | "final" | "correction" | "retraction";
  readonly revision: number;
  readonly values: ModelValues;
}

export interface ModelValues {
  readonly sales: number;
  readonly cents: bigint | null;
  readonly least: bigint | null;
  readonly greatest: bigint | null;
  readonly meanWeight: number | null;
}

export interface ModelLate {
  readonly id: string;
  /** The window of the event that expired last. */
  readonly start: number;
  readonly end: number;
  readonly lateness: number;
}

/** What a window holds. Doubles are added in the order of the log, parts in the order of time. */
export class Content {
  sales = 0;
  cents: bigint[] = [];
  weights = 0;
  weight = 0;

  static of(parts: readonly Content[]): Content {
    const whole = new Content();
    for (const part of parts) {
      whole.sales += part.sales;
      whole.cents.push(...part.cents);
      whole.weights += part.weights;
      whole.weight += part.weight;
    }
    return whole;
  }

  add(event: ModelEvent): void {
    this.sales++;
    if (event.cents !== undefined) this.cents.push(event.cents);
    if (event.weight === undefined) return;
    this.weights++;
    this.weight += event.weight;
  }

  get values(): ModelValues {
    const { sales, cents, weights, weight } = this;
    const pick = (better: (a: bigint, b: bigint) => boolean) =>
      cents.length === 0 ? null : cents.reduce((a, b) => (better(a, b) ? a : b));
    return {
      sales,
      cents: cents.length === 0 ? null : cents.reduce((a, b) => a + b),
      least: pick((a, b) => a < b),
      greatest: pick((a, b) => a > b),
      meanWeight: weights === 0 ? null : weight / weights,
    };
  }
}

interface Held {
  readonly key: string;
  start: number;
  end: number;
  content: Content;
  revision: number;
  finalized: boolean;
  /** In which order they came to be. */
  readonly rank: number;
}

interface Slice {
  readonly key: string;
  readonly time: number;
  readonly content: Content;
}

export class Model {
  readonly updates: ModelUpdate[] = [];
  readonly late: ModelLate[] = [];
  readonly future: string[] = [];
  /** Ids of events for which the user's function threw. */
  readonly poison: string[] = [];
  /** Events that are neither duplicates nor in the future, and so are judged and move the watermark. */
  readonly accepted = new Set<number>();
  counted = 0;
  duplicate = 0;
  conflict = 0;
  filtered = 0;
  readonly #settings: ModelSettings;
  readonly #boundsAt: BoundsAt | undefined;
  /** By id: when it was first seen, and with what. */
  readonly #seen = new Map<string, { readonly at: number; readonly payload: string }>();
  #windows: Held[] = [];
  #slices: Slice[] = [];
  /** Open windows that changed since they were last published. */
  #changed: Held[] = [];
  #watermark = -Infinity;
  #clock = 0;
  #last: { readonly time: number; readonly ingestTime: number } | undefined;
  #events = 0;
  #ranks = 0;

  constructor(settings: ModelSettings) {
    this.#settings = settings;
    this.#boundsAt = boundsOf(settings.window);
  }

  read(entry: ModelEntry): void {
    const { maxOutOfOrdernessMs } = this.#settings;
    if ("tick" in entry) {
      this.#clock = Math.max(this.#clock, entry.tick);
      if (this.#last !== undefined) {
        const flowed = this.#last.time + (entry.tick - this.#last.ingestTime);
        this.#advance(flowed - maxOutOfOrdernessMs - 1);
      }
    } else {
      this.#clock = Math.max(this.#clock, entry.ingestTime);
      for (const event of entry.events) this.#event(event, entry.ingestTime);
    }
    this.#publishEarly();
  }

  /** What windows hold at last, as `key [start, end)`. */
  contents(): [string, Content][] {
    return this.#windows.map(({ key, start, end, content }) => [
      `${key} [${start}, ${end})`,
      content,
    ]);
  }

  /** An event of a type that is not read, and is no duplicate. */
  pass(time: number, ingestTime: number): void {
    this.#clock = Math.max(this.#clock, ingestTime);
    this.filtered++;
    this.#observe(time, ingestTime);
    this.#publishEarly();
  }

  #observe(time: number, ingestTime: number): void {
    this.#last = { time, ingestTime };
    this.#advance(time - this.#settings.maxOutOfOrdernessMs - 1);
  }

  #publishEarly(): void {
    if (!this.#settings.each) return;
    for (const window of this.#changed.splice(0)) this.#publish(window, "early");
  }

  #event(event: ModelEvent, ingestTime: number): void {
    const { dedupeHorizonMs, maxFutureSkewMs } = this.#settings;
    const number = this.#events++;
    const weight = Object.is(event.weight, -0) ? "-0" : String(event.weight);
    const { key, time, cents, store } = event;
    const payload = JSON.stringify([key, time, String(cents), weight, store]);
    const seen = this.#seen.get(event.id);
    if (seen !== undefined && this.#clock - seen.at <= dedupeHorizonMs) {
      this.duplicate++;
      if (seen.payload !== payload) this.conflict++;
      return;
    }
    this.#seen.set(event.id, { at: this.#clock, payload });
    if (event.time > ingestTime + maxFutureSkewMs) {
      this.future.push(event.id);
      return;
    }
    this.accepted.add(number);
    this.#assign(event);
    this.#observe(event.time, ingestTime);
  }

  #expiry(end: number): number {
    return Math.min(end - 1 + this.#settings.allowedLatenessMs, Number.MAX_SAFE_INTEGER);
  }

  #live(end: number): boolean {
    return this.#watermark < this.#expiry(end);
  }

  /** Windows close in the order of their starts, sessions of their ends, then in that in which they came to be. */
  #advance(candidate: number): void {
    const before = this.#watermark;
    this.#watermark = Math.max(before, candidate);
    const bound = this.#settings.window.kind === "session" ? "end" : "start";
    const closing = this.#windows
      .filter(({ end }) => before < end - 1 && end - 1 <= this.#watermark)
      .sort((a, b) => a[bound] - b[bound] || a.rank - b.rank);
    for (const window of closing) {
      this.#refresh(window);
      this.#publish(window, "final");
    }
  }

  #publish(window: Held, kind: ModelUpdate["kind"]): void {
    const { key, start, end } = window;
    this.#changed = this.#changed.filter((changed) => changed !== window);
    if (kind !== "early") window.finalized = true;
    window.revision++;
    const { revision, content } = window;
    this.updates.push({ key, start, end, kind, revision, values: content.values });
  }

  /** An open window waits for its close; a closed one is published at once. */
  #change(window: Held): void {
    this.#refresh(window);
    if (this.#watermark < window.end - 1) {
      if (!this.#changed.includes(window)) this.#changed.push(window);
    } else this.#publish(window, window.finalized ? "correction" : "final");
  }

  #open(key: string, start: number, end: number): Held {
    const window: Held = {
      key,
      start,
      end,
      content: new Content(),
      revision: 0,
      finalized: false,
      rank: this.#ranks++,
    };
    this.#windows.push(window);
    return window;
  }

  #assign(event: ModelEvent): void {
    const { window, by } = this.#settings;
    const key = event[by];
    switch (window.kind) {
      case "session":
        return this.#session(event, key, window.gapMs);
      case "sliding":
        return this.#sliding(event, key, window.sizeMs);
      default:
        return this.#aligned(event, key, this.#boundsAt!(event.time));
    }
  }

  #aligned(event: ModelEvent, key: string, bounds: readonly Bounds[] | undefined): void {
    if (bounds === undefined) {
      this.poison.push(event.id);
      return;
    }
    if (bounds.length === 0) {
      this.filtered++;
      return;
    }
    const live = bounds.filter(({ end }) => this.#live(end));
    if (live.length === 0) {
      return this.#late(
        event,
        bounds.reduce((last, each) => (each.end < last.end ? last : each)),
      );
    }
    this.counted++;
    for (const { start, end } of live) {
      const window =
        this.#windows.find((each) => each.key === key && each.start === start) ??
        this.#open(key, start, end);
      window.content.add(event);
      this.#change(window);
    }
  }

  /** (t - size, t] for each time t at which there is an event. */
  #sliding(event: ModelEvent, key: string, sizeMs: number): void {
    const { time } = event;
    const own = { start: time - sizeMs + 1, end: time + 1 };
    const later = this.#windows
      .filter((each) => each.key === key && each.end > own.end && each.start <= time)
      // What no window needs any more is forgotten: a dead letter does not tell of it.
      .filter((each) => this.#live(each.end - 1 + sizeMs))
      .sort((a, b) => a.end - b.end);
    const has = this.#windows.some((each) => each.key === key && each.end === own.end);
    const last = later.at(-1) ?? own;
    if (!this.#live(last.end)) return this.#late(event, last);
    this.counted++;
    let slice = this.#slices.find((each) => each.key === key && each.time === time);
    if (slice === undefined) {
      slice = { key, time, content: new Content() };
      this.#slices.push(slice);
    }
    slice.content.add(event);
    if (this.#live(own.end) && !has) this.#open(key, own.start, own.end);
    this.#windows
      .filter((each) => each.key === key && each.end >= own.end && each.start <= time)
      .filter(({ end }) => this.#live(end))
      .sort((a, b) => a.end - b.end)
      .forEach((window) => this.#change(window));
  }

  /** A sliding window is put together from what happened at each of its times. */
  #refresh(window: Held): void {
    if (this.#settings.window.kind !== "sliding") return;
    const parts = this.#slices
      .filter(({ key, time }) => key === window.key && time >= window.start && time < window.end)
      .sort((a, b) => a.time - b.time);
    window.content = inBlocks(parts, window, BLOCK_LEVELS);
  }

  #session(event: ModelEvent, key: string, gapMs: number): void {
    const own = { start: event.time, end: event.time + gapMs };
    const touching = this.#windows
      .filter((each) => each.key === key && this.#live(each.end))
      .filter((each) => each.start <= own.end && own.start <= each.end)
      .sort((a, b) => a.start - b.start);
    const start = Math.min(own.start, ...touching.map((each) => each.start));
    const end = Math.max(own.end, ...touching.map((each) => each.end));
    if (!this.#live(end)) return this.#late(event, { start, end });
    this.counted++;
    const [first] = touching;
    const same = first?.start === start && first.end === end;
    if (first !== undefined && touching.length === 1 && (same || first.revision === 0)) {
      first.start = start;
      first.end = end;
      first.content.add(event);
      return this.#change(first);
    }
    const merged = this.#open(key, start, end);
    merged.content = Content.of(touching.map(({ content }) => content));
    merged.revision = Math.max(0, ...touching.map(({ revision }) => revision));
    merged.finalized = touching.some(({ finalized }) => finalized);
    for (const old of touching) {
      if (old.revision > 0) this.#publish(old, "retraction");
      this.#changed = this.#changed.filter((changed) => changed !== old);
      this.#windows = this.#windows.filter((window) => window !== old);
    }
    merged.content.add(event);
    this.#change(merged);
  }

  #late({ id }: ModelEvent, { start, end }: Bounds): void {
    this.late.push({ id, start, end, lateness: this.#watermark - this.#expiry(end) });
  }
}

const BLOCK_LEVELS = 12;

/**
 * Parts one after the other; but first, by themselves, those of an aligned block of 16^level ms that is within
 * the bounds and has eight times or more.
 */
const inBlocks = (
  parts: readonly { readonly time: number; readonly content: Content }[],
  bounds: Bounds,
  level: number,
): Content => Content.of(blocksOf(parts, bounds, level));

const blocksOf = (
  parts: readonly { readonly time: number; readonly content: Content }[],
  bounds: Bounds,
  level: number,
): readonly Content[] => {
  if (level === 0) return parts.map(({ content }) => content);
  const span = 16 ** level;
  const groups = new Map<number, (typeof parts)[number][]>();
  for (const part of parts) {
    const start = Math.floor(part.time / span) * span;
    groups.set(start, [...(groups.get(start) ?? []), part]);
  }
  return [...groups].flatMap(([start, group]) => {
    const block = { start, end: start + span };
    const within = bounds.start <= block.start && block.end <= bounds.end;
    return within && group.length >= 8
      ? [inBlocks(group, block, level - 1)]
      : blocksOf(group, bounds, level - 1);
  });
};
