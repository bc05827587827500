/** The JSON Schema of each kind of window. */
import {
  CALENDAR_OPTIONS,
  CALENDAR_UNITS,
  MONTHS,
  TIME_OF_DAY,
  WINDOW_LENGTH,
  WINDOW_OFFSET,
} from "../definition/check-window.ts";
import { WEEKDAYS } from "../definition/definition.ts";
import type { CalendarWindow, WindowDefinition } from "../definition/definition.ts";
import { described, duration, object, optional, text, whole, type Schema } from "./parts.ts";

type Kind = WindowDefinition["kind"];
type Options<T> = { readonly [Key in Exclude<keyof T, "kind">]-?: Schema };
type OptionsOf<K extends Kind> = Options<Extract<WindowDefinition, { readonly kind: K }>>;

interface Form {
  readonly description: string;
  readonly options: Readonly<Record<string, Schema>>;
  /** Those that may be left out. */
  readonly optional: readonly string[];
}

const formOf = <const O extends object>(
  description: string,
  options: O & Readonly<Record<string, Schema>>,
  mayLack: readonly (keyof O & string)[] = [],
): Form & { readonly options: O } => ({ description, options, optional: mayLack });

const length = duration(WINDOW_LENGTH);
const offsetMs = optional(duration(WINDOW_OFFSET));

const CALENDAR: { readonly [Key in keyof typeof CALENDAR_OPTIONS]: Schema } = {
  dayStart: described(
    "When days begin by the local clock.",
    optional({ type: "string", pattern: TIME_OF_DAY.source }),
  ),
  weekStart: optional({ enum: WEEKDAYS }),
  yearStart: described("The month in which years begin.", optional(whole(MONTHS))),
};

/** A unit has the options that mean something for it. */
const calendarOf = (unit: CalendarWindow["unit"]): Form => {
  const has = (key: string) =>
    (CALENDAR_OPTIONS[key as keyof typeof CALENDAR].units as readonly string[]).includes(unit);
  const own = Object.fromEntries(Object.entries(CALENDAR).filter(([key]) => has(key)));
  return formOf(
    `Each ${unit} of the local clocks in a time zone.`,
    {
      unit: { const: unit },
      zone: described("A name of the IANA time zone database: Europe/Berlin.", text),
      ...own,
    },
    Object.keys(own) as never[],
  );
};

/** Every kind that there is; text says why it has no JSON form. */
const FORMS: {
  readonly [K in Kind]: (Form & { readonly options: OptionsOf<K> }) | readonly Form[] | string;
} = {
  tumbling: formOf("Windows of one size, side by side.", { sizeMs: length, offsetMs }, [
    "offsetMs",
  ]),
  hopping: formOf(
    "Windows of one size that start every so often.",
    { sizeMs: length, advanceMs: length, offsetMs },
    ["offsetMs"],
  ),
  sliding: formOf("For each time of an event: what happened in this long up to it.", {
    sizeMs: length,
  }),
  session: formOf("Events of a key that are at most a gap apart.", { gapMs: length }),
  calendar: CALENDAR_UNITS.map(calendarOf),
  global: formOf("One window for all time.", {}),
  custom: "it is a function: write it in TypeScript",
};

/** Kinds without a JSON form. */
export const WINDOWS_IN_CODE: readonly string[] = Object.entries(FORMS).flatMap(([kind, form]) =>
  typeof form === "string" ? [kind] : [],
);

export const WINDOW_DEFINITION: Schema = {
  anyOf: Object.entries(FORMS).flatMap(([kind, form]) => {
    if (typeof form === "string") return [];
    return [form].flat().map(({ description, options, optional: mayLack }: Form) => {
      const required = Object.keys(options).filter((key) => !mayLack.includes(key));
      return described(
        description,
        object({ kind: { const: kind }, ...options }, ["kind", ...required]),
      );
    });
  }),
};
