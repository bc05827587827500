/**
 * SEMANTICS.md written down a second time, naively: one event at a time, objects and maps, no batches.
 * Properties hold the engine against it. It must not import anything of the engine.
 */
export interface ModelEvent {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  readonly ingestTime: number;
  readonly cents: bigint | undefined;
  readonly weight: number | undefined;
}

export interface ModelSettings {
  readonly sizeMs: number;
  readonly offsetMs: number;
  readonly allowedLatenessMs: number;
  readonly maxOutOfOrdernessMs: number;
  readonly maxFutureSkewMs: number;
  readonly dedupeHorizonMs: number;
}

interface ModelWindow {
  readonly key: string;
  readonly start: number;
  readonly events: ModelEvent[];
  revision: number;
}

export interface ModelUpdate {
  readonly key: string;
  readonly start: number;
  readonly kind: "final" | "correction";
  readonly revision: number;
  readonly values: readonly (string | null)[];
}

export interface ModelResult {
  readonly updates: ModelUpdate[];
  readonly late: string[];
  readonly future: string[];
  readonly duplicates: number;
  readonly counted: number;
}

const valuesOf = (events: readonly ModelEvent[]): (string | null)[] => {
  const cents = events.flatMap((event) => (event.cents === undefined ? [] : [event.cents]));
  const weights = events.flatMap((event) => (event.weight === undefined ? [] : [event.weight]));
  const least = (a: bigint, b: bigint) => (a < b ? a : b);
  const greatest = (a: bigint, b: bigint) => (a > b ? a : b);
  return [
    String(events.length),
    cents.length === 0 ? null : String(cents.reduce((a, b) => a + b)),
    cents.length === 0 ? null : String(cents.reduce(least)),
    cents.length === 0 ? null : String(cents.reduce(greatest)),
    weights.length === 0 ? null : String(weights.reduce((a, b) => a + b, 0) / weights.length),
  ];
};

export const runModel = (events: readonly ModelEvent[], settings: ModelSettings): ModelResult => {
  const result = { updates: [], late: [], future: [], duplicates: 0, counted: 0 } as {
    updates: ModelUpdate[];
    late: string[];
    future: string[];
    duplicates: number;
    counted: number;
  };
  const firstSeen = new Map<string, number>();
  const windows: ModelWindow[] = [];
  let watermark = -Infinity;
  let clock = 0;
  const publish = (window: ModelWindow) => {
    window.revision++;
    result.updates.push({
      key: window.key,
      start: window.start,
      kind: window.revision === 1 ? "final" : "correction",
      revision: window.revision,
      values: valuesOf(window.events),
    });
  };
  for (const event of events) {
    clock = Math.max(clock, event.ingestTime);
    const seen = firstSeen.get(event.id);
    if (seen !== undefined && clock - seen <= settings.dedupeHorizonMs) {
      result.duplicates++;
      continue;
    }
    firstSeen.set(event.id, clock);
    if (event.time > event.ingestTime + settings.maxFutureSkewMs) {
      result.future.push(event.id);
      continue;
    }
    const index = Math.floor((event.time - settings.offsetMs) / settings.sizeMs);
    const start = index * settings.sizeMs + settings.offsetMs;
    const last = start + settings.sizeMs - 1;
    if (watermark >= last + settings.allowedLatenessMs) {
      result.late.push(event.id);
    } else {
      result.counted++;
      let window = windows.find((each) => each.key === event.key && each.start === start);
      if (window === undefined) {
        window = { key: event.key, start, events: [], revision: 0 };
        windows.push(window);
      }
      window.events.push(event);
      if (watermark >= last) publish(window);
    }
    const before = watermark;
    watermark = Math.max(watermark, event.time - settings.maxOutOfOrdernessMs - 1);
    windows
      .filter((window) => {
        const closes = window.start + settings.sizeMs - 1;
        return before < closes && watermark >= closes;
      })
      .sort((a, b) => a.start - b.start)
      .forEach(publish);
  }
  return result;
};
