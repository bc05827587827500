/**
 * `projection()`: the typed way to write a {@link WindowProjection}. What it returns is that data and
 * nothing more, except that it remembers its topic: see `make-definition.ts`.
 */
import type {
  AggregateDefinition,
  EmitDefinition,
  SubjectsDefinition,
  WindowDefinition,
  WindowProjection,
} from "./definition.ts";
import type { Duration } from "./duration.ts";
import type { BooleanExpression, NumberExpression, StringExpression } from "./field-expression.ts";
import { makeDefinition, type Maker } from "./make-definition.ts";
import type { Topic } from "./topic.ts";

export interface ProjectionOptions<Type extends string, Name extends string> {
  /** The topic that it reads. */
  readonly source: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: all of the topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which events count: those for which it is true, not false and not null. Default: all. */
  readonly where?: BooleanExpression;
  /** What results are grouped by. Default: `event.key`. Events whose key is null do not count. */
  readonly key?: StringExpression | NumberExpression | BooleanExpression;
  readonly window: WindowDefinition;
  /** How long after its close a window still takes late events. Default "0". */
  readonly allowedLateness?: Duration;
  /** Values of each result, in this order. */
  readonly aggregates: Readonly<Record<Name, AggregateDefinition>>;
  /** Default `final()`. */
  readonly emit?: EmitDefinition;
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

/** A definition that knows the names of its aggregates. */
export interface Projection<Name extends string = string> extends WindowProjection {
  readonly aggregates: Readonly<Record<Name, AggregateDefinition>>;
}

const MAKER: Maker = {
  options: ["window", "allowedLateness", "aggregates", "emit"],
  spelling: { allowedLatenessMs: "allowedLateness" },
  data: ({ window, allowedLateness, aggregates, emit }) => ({
    window,
    allowedLatenessMs: allowedLateness,
    aggregates,
    emit,
  }),
};

export const projection = <const Type extends string, const Name extends string>(
  name: string,
  options: ProjectionOptions<Type, Name>,
): Projection<Name> => makeDefinition(name, options, MAKER) as Projection<Name>;
