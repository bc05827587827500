/** Tumbling windows (SEMANTICS section 4): [start, start + size), starts at multiples plus offset. */

/** Start of the window that holds `time`. Floored division, so negative times land right. */
export const windowStart = (time: number, sizeMs: number, offsetMs: number): number => {
  const start = Math.floor((time - offsetMs) / sizeMs) * sizeMs + offsetMs;
  return start === 0 ? 0 : start;
};

/** The watermark from which the window is closed. */
export const closesAt = (end: number): number => end - 1;

/** The watermark from which the window takes nothing more; saturates instead of overflowing. */
export const expiresAt = (end: number, allowedLatenessMs: number): number =>
  Math.min(end - 1 + allowedLatenessMs, Number.MAX_SAFE_INTEGER);
