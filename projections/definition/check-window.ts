/** Checks the window of a projection that came as data and fills its defaults. */
import type { WindowDefinition } from "./definition.ts";
import type { Mistakes, Range } from "./reading.ts";

/** Windows that one event can be in: each costs what one costs, so a slip must not cost millions. */
export const WINDOWS_OF_AN_EVENT_MAX = 10_000;

/** 10,000 years: the bounds of every window of every event time stay exact integers. */
const LENGTH_MS_MAX = 3_650_000 * 86_400_000;
export const WINDOW_LENGTH: Range = { min: 1, max: LENGTH_MS_MAX };
export const WINDOW_OFFSET: Range = { min: -LENGTH_MS_MAX, max: LENGTH_MS_MAX };

/** The keys of each kind. */
const KINDS = {
  tumbling: ["kind", "sizeMs", "offsetMs"],
  hopping: ["kind", "sizeMs", "advanceMs", "offsetMs"],
  sliding: ["kind", "sizeMs"],
  session: ["kind", "gapMs"],
  global: ["kind"],
} as const satisfies Record<WindowDefinition["kind"], readonly string[]>;

export const checkWindow = (
  value: unknown,
  mistakes: Mistakes,
  /** Whether the projection is grouped by something other than the event's key. */
  merged: boolean,
): WindowDefinition | undefined => {
  if (value === undefined) {
    return mistakes.add("window", 'is missing; for example tumbling("1 hour")');
  }
  const named = mistakes.record(value, "window");
  if (named === undefined) return undefined;
  const kinds = Object.keys(KINDS) as WindowDefinition["kind"][];
  const kind = mistakes.oneOf(named["kind"], "window.kind", kinds);
  if (kind === undefined) return undefined;
  const given = mistakes.object(value, "window", KINDS[kind]);
  if (given === undefined) return undefined;
  const length = (key: string) => mistakes.duration(given[key], `window.${key}`, WINDOW_LENGTH);
  if (kind === "global") return { kind };
  if (merged && (kind === "session" || kind === "sliding")) {
    return mistakes.add(
      "window.kind",
      `${kind} windows need every event of a key in one partition: they cannot be merged from ` +
        "partials. Group by event.key, and publish the topic under that key",
    );
  }
  if (kind === "session") {
    const gapMs = length("gapMs");
    return gapMs === undefined ? undefined : { kind, gapMs };
  }
  const sizeMs = length("sizeMs");
  if (kind === "sliding") return sizeMs === undefined ? undefined : { kind, sizeMs };
  const advanceMs = kind === "hopping" ? length("advanceMs") : sizeMs;
  const offsetMs = mistakes.duration(given["offsetMs"] ?? 0, "window.offsetMs", WINDOW_OFFSET);
  if (sizeMs === undefined || advanceMs === undefined || offsetMs === undefined) return undefined;
  if (kind === "tumbling") return { kind, sizeMs, offsetMs };
  if (sizeMs / advanceMs > WINDOWS_OF_AN_EVENT_MAX) {
    return mistakes.add(
      "window.advanceMs",
      `puts every event into ${Math.ceil(sizeMs / advanceMs)} windows; ` +
        `${WINDOWS_OF_AN_EVENT_MAX} are the limit. Advance by at least ` +
        `${Math.ceil(sizeMs / WINDOWS_OF_AN_EVENT_MAX)} ms`,
    );
  }
  return { kind, sizeMs, advanceMs, offsetMs };
};
