/** `statechart()`: the typed way to write a {@link StatechartProjection}. */
import type {
  FoldEvent,
  StatechartMachine,
  StatechartProjection,
  SubjectsDefinition,
} from "./definition.ts";
import type { BooleanExpression, NumberExpression, StringExpression } from "./field-expression.ts";
import { makeDefinition, type Maker } from "./make-definition.ts";
import type { Topic } from "./topic.ts";

export interface StatechartOptions<Type extends string> {
  /** The topic that it reads. */
  readonly source: Topic<Type>;
  readonly description?: string;
  /** Event types that it reads. Default: all of the topic. */
  readonly types?: readonly NoInfer<Type>[];
  /** Which events it sees: those for which it is true, not false and not null. Default: all. */
  readonly where?: BooleanExpression;
  /** What has a machine each. Default: `event.key`. */
  readonly key?: StringExpression | NumberExpression | BooleanExpression;
  /** Of XState 5; without actors and without side effects. */
  readonly machine: StatechartMachine;
  /**
   * What the machine is sent for an event; undefined: nothing. By default the event itself, with its
   * `type`, `id`, `key`, `time` and `data`.
   */
  readonly toEvent?: (event: FoldEvent) => { readonly type: string } | undefined;
  /** Change it when a function does something else though its text is the same. */
  readonly version?: string;
  /** Default `byKey()`. */
  readonly subjects?: SubjectsDefinition;
}

const MAKER: Maker = {
  options: ["machine", "toEvent", "version"],
  data: ({ machine, toEvent, version }) => ({ kind: "statechart", machine, toEvent, version }),
};

/** A machine per key, sent its events in event-time order; what it emits are the results. */
export const statechart = <const Type extends string>(
  name: string,
  options: StatechartOptions<Type>,
): StatechartProjection => makeDefinition(name, options, MAKER) as StatechartProjection;
