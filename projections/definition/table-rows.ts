/**
 * The results of a projection as events: what a join sees of a projection that is its table (decision 023).
 *
 * R1. A result is an event of one of two types: a row, or the retraction of one. Both have the window as
 *     fields, a row its values too, null where a result has none.
 * R2. Where there are no windows that end, the results of a key follow each other: no row of a fold or a
 *     global window is older than one that came before it.
 */
import type {
  EventTypeSchema,
  FieldColumn,
  FieldSchema,
  OutputColumn,
  ProjectionPlan,
  TopicPlan,
} from "./plan.ts";

/** Indexes of its two types. */
export const ROW_TYPE = 0;
export const RETRACTION_TYPE = 1;
const ROW_TYPES = 2;

/** Bounds of a result's window. No value of a result has a name like these. */
const windowField = (bound: "start" | "end", number: number): FieldSchema => ({
  number,
  name: `(window ${bound})`,
  scalar: "sint64",
  repeated: false,
  optional: true,
});
export const WINDOW_START = windowField("start", 1);
export const WINDOW_END = windowField("end", 2);
/** Their names, which are nobody's to use. */
export const WINDOW_FIELDS: readonly string[] = [WINDOW_START.name, WINDOW_END.name];
/** Number of the field of the first value. */
const FIRST_VALUE = 3;

const SCALARS = {
  integer: "sint64",
  double: "double",
  string: "string",
  boolean: "bool",
  // Lists and records: nothing that an expression reads.
  any: "message",
} as const satisfies Record<OutputColumn["type"], FieldSchema["scalar"]>;

/** Of a value that may be anything. */
const whyUnreadable = ({ kind }: ProjectionPlan, name: string): string =>
  kind === "fold"
    ? "has no type; for expressions to read it the fold must say which one its value has: " +
      `values: { ${name}: { type: "integer", of: (state) => ... } }`
    : "may be a list or record; expressions read single values only";

/** The fields of a projection's values, in their order. */
export const valueFieldsOf = (plan: ProjectionPlan): readonly FieldSchema[] =>
  plan.outputs.map(({ name, type }, index) => ({
    number: FIRST_VALUE + index,
    name,
    scalar: SCALARS[type],
    repeated: false,
    optional: true,
    ...(type === "any" && { unreadable: whyUnreadable(plan, name) }),
  }));

/** The projection's results as a topic: with partitions and settings of the topic that it reads. */
export const rowTopicOf = (plan: ProjectionPlan): TopicPlan => {
  const { name } = plan.definition;
  const window = [WINDOW_START, WINDOW_END];
  // In the order of ROW_TYPE and RETRACTION_TYPE.
  const types: readonly EventTypeSchema[] = [
    { name, fields: [...window, ...valueFieldsOf(plan)] },
    { name: `${name}.retraction`, fields: window },
  ];
  return {
    definition: { ...plan.topic.definition, types: types.map((type) => type.name) },
    types,
  };
};

/** What rows are ordered by, as columns of a union of topics in which the row types begin at `firstType`. */
export const windowColumnsOf = (types: number, firstType: number): readonly FieldColumn[] =>
  [WINDOW_START, WINDOW_END].map((field) => ({
    path: field.name,
    type: "integer",
    fields: Array.from({ length: types }, (_, type) =>
      type >= firstType && type < firstType + ROW_TYPES ? field : undefined,
    ),
  }));

export const isGlobal = (plan: ProjectionPlan): boolean =>
  plan.kind === "window" && plan.definition.window.kind === "global";

/** R2. */
export const rowsInOrder = (plan: ProjectionPlan): boolean =>
  plan.kind === "fold" || isGlobal(plan);
