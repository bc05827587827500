/**
 * Which windows an event belongs to (SEMANTICS section 4).
 *
 * Z1. A function of the event's time alone.
 * Z2. Windows come in ascending order of start, and a start has one end.
 * Z3. Unless it is irregular, the first start and the number of an event's windows tell the others.
 *
 * Adding a kind of window: a file like `tumbling.ts`, and a line in `operators.ts`.
 */
export interface WindowAssigner {
  /** Most windows that one event can belong to. */
  readonly windowsMax: number;
  /** Writes the windows of an event at `time` into starts and ends; returns how many, perhaps none. */
  assign(time: number, starts: Float64Array, ends: Float64Array): number;
  readonly irregular?: boolean;
  /** Where code of the user's assigns: why the last event has none, when `assign` returned less than 0. */
  readonly error?: string;
}

/** The watermark from which a window is closed. */
export const closesAt = (end: number): number => end - 1;

/** The watermark from which a window takes nothing more; saturates instead of overflowing. */
export const expiresAt = (end: number, allowedLatenessMs: number): number =>
  Math.min(end - 1 + allowedLatenessMs, Number.MAX_SAFE_INTEGER);

/** The greatest `offset + k * step` that is not after `time`: floored, so negative times land right. */
export const floorTo = (time: number, step: number, offset: number): number =>
  Math.floor((time - offset) / step) * step + offset;
