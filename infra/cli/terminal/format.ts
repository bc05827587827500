/** Numbers, times and durations as people read them; the same everywhere. */

const INTEGER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1234567 -> "1,234,567" */
export const count = (value: number | bigint): string => INTEGER.format(value);

/** "1 window", "2 windows" */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** "850 ms", "1.2 s", "3 min 04 s", "2 h 05 min", "3 d 4 h" */
export const duration = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const s = Math.round(ms / 1_000);
  if (s < 60) return `${s} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  if (s < 3_600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  return `${Math.floor(minutes / 1_440)} d ${Math.floor((minutes % 1_440) / 60)} h`;
};

/** "2001-01-01 00:01:00", with milliseconds only where there are any; UTC. */
export const time = (ms: number): string => {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  const text = date.toISOString().replace("T", " ").replace("Z", "");
  return text.endsWith(".000") ? text.slice(0, -4) : text;
};

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** "512 bytes", "1.5 MiB" */
export const bytes = (size: number): string => {
  let value = size;
  let unit = 0;
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
};
