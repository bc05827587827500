/** `fold()`: the typed way to write a {@link FoldProjection}. */
import type {
  EmitDefinition,
  FoldEvent,
  FoldProjection,
  SubjectsDefinition,
} from "./definition.ts";
import type { Duration } from "./duration.ts";
import type { ExpressionType } from "./expression.ts";
import type { BooleanExpression, NumberExpression, StringExpression } from "./field-expression.ts";
import { makeDefinition, type Maker } from "./make-definition.ts";
import type { Topic } from "./topic.ts";

/** What a value of each type may be, besides null. */
interface ValueOfType {
  readonly integer: number | bigint;
  readonly double: number | bigint;
  readonly string: string;
  readonly boolean: boolean;
}

/**
 * A value of each result as a function of the state, alone or with its type: `{ type: "integer", of: (state) =>
 * state.cents }`. Only with its type can it be read where the fold is the table of a join.
 */
export type FoldValue<State> =
  | ((state: State) => unknown)
  | {
      readonly [Type in ExpressionType]: {
        readonly type: Type;
        readonly of: (state: State) => ValueOfType[Type] | null;
      };
    }[ExpressionType];

export interface FoldOptions<Type extends string, State> {
  /** The topic that it reads. */
  readonly source: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: all of the topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which events it sees: those for which it is true, not false and not null. Default: all. */
  readonly where?: BooleanExpression;
  /** Whose events are folded together. Default: `event.key`. */
  readonly key?: StringExpression | NumberExpression | BooleanExpression;
  /** The state before a key's first event: data as in JSON, and bigints. */
  readonly state: () => State;
  /**
   * The next state, from the one before and the next event in event-time order; undefined forgets the
   * key. States are frozen: return a new one. It must depend on nothing but its arguments.
   */
  readonly reduce: (state: NoInfer<State>, event: FoldEvent) => NoInfer<State> | undefined;
  /** A state is forgotten when its key has had no event for so long. Default: never. */
  readonly ttl?: Duration;
  /** Values of each result, as functions of the state. Default: one value, `state`. */
  readonly values?: Readonly<Record<string, FoldValue<NoInfer<State>>>>;
  /** When the state is published while it lives. Default `each()`. */
  readonly emit?: EmitDefinition;
  /** The order in which the reducer sees events: by event time. */
  readonly order?: "time";
  /** Change it when a function does something else though its text is the same. */
  readonly version?: string;
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

const MAKER: Maker = {
  options: ["state", "reduce", "ttl", "values", "emit", "order", "version"],
  spelling: { ttlMs: "ttl" },
  data: ({ state, reduce, ttl, values, emit, order, version }) => ({
    kind: "fold",
    state,
    reduce,
    ttlMs: ttl,
    values,
    emit,
    order,
    version,
  }),
};

/**
 * A state per key, reduced from its events in event-time order:
 *
 *     fold("visits", {
 *       source: shop,
 *       state: () => ({ visits: 0 }),
 *       reduce: (state) => ({ visits: state.visits + 1 }),
 *       ttl: "30 days",
 *     })
 */
export const fold = <const Type extends string, State>(
  name: string,
  options: FoldOptions<Type, State>,
): FoldProjection => makeDefinition(name, options, MAKER) as FoldProjection;
