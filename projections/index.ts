/** The public face of Tidemark: what `import ... from "tidemark"` gives. See docs/DEFINITIONS.md. */
export {
  aggregate,
  collect,
  count,
  distinct,
  first,
  last,
  max,
  mean,
  min,
  quantile,
  quantiles,
  stddev,
  sum,
  topK,
  variance,
} from "./definition/aggregate.ts";
export type {
  AggregateDefinition,
  EmitDefinition,
  FoldEvent,
  FoldProjection,
  PatternProjection,
  JoinMode,
  JoinProjection,
  ProjectionDefinition,
  StatechartProjection,
  SubjectsDefinition,
  TopicDefinition,
  TumblingWindow,
  WindowDefinition,
} from "./definition/definition.ts";
export type { ByteSize } from "./definition/byte-size.ts";
export { defineConfig } from "./definition/define-config.ts";
export type { ConfigInput } from "./definition/define-config.ts";
export type { Duration, DurationUnit } from "./definition/duration.ts";
export { buckets, byKey, each, early, final } from "./definition/emission.ts";
export {
  calendar,
  custom,
  global,
  hopping,
  session,
  sliding,
  tumbling,
} from "./definition/windows.ts";
export type { Expression } from "./definition/expression.ts";
export { event, field, left, literal, lookup, right } from "./definition/field-expression.ts";
export { lookupTable } from "./definition/lookup-table.ts";
export type { LookupRows, LookupTableDefinition } from "./definition/lookup-table.ts";
export type {
  AnyExpression,
  BooleanExpression,
  FieldExpression,
  NumberExpression,
  Side,
  StringExpression,
} from "./definition/field-expression.ts";
export { fold } from "./definition/fold.ts";
export type { FoldOptions, FoldValue } from "./definition/fold.ts";
export { pattern } from "./definition/pattern.ts";
export type { PatternOf, PatternOptions } from "./definition/pattern.ts";
export {
  begin,
  match,
  noSkip,
  skipPastLastEvent,
  skipToFirst,
  skipToLast,
  skipToNext,
  step,
} from "./definition/pattern-builder.ts";
export type { Pattern, PatternValue, StepExpression } from "./definition/pattern-builder.ts";
export type {
  Contiguity,
  PatternElement,
  PatternExpression,
  SkipDefinition,
} from "./definition/pattern-definition.ts";
export { projection } from "./definition/projection.ts";
export type { Projection, ProjectionOptions } from "./definition/projection.ts";
export { join } from "./definition/join.ts";
export type { Join, JoinOptions, JoinSideOptions, JoinTableOptions } from "./definition/join.ts";
export { statechart } from "./definition/statechart.ts";
export type { StatechartOptions } from "./definition/statechart.ts";
export { topic } from "./definition/topic.ts";
export type { Topic, TopicOptions } from "./definition/topic.ts";
export { DefinitionError, PayloadError, SchemaError } from "./errors.ts";
export type { Mistake } from "./errors.ts";
