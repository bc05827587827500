/**
 * How much one result of a projection can weigh. A result is published in one message, and so is its
 * partial; a message of NATS has a greatest size, of 1 MiB by default, and Tidemark asks for no more.
 *
 * H1. No aggregate's accumulators, and none of its values, are larger than `weightOf` says.
 * H2. A definition whose aggregates could weigh more than RESULT_BYTES_MAX together is refused, so that no part
 *     of a commit can exceed a message.
 */
import type { AggregateDefinition } from "./definition.ts";
import type { ExpressionType } from "./expression.ts";
import { STATE_BYTES_MAX } from "./plain-state.ts";

/** The least max_payload of a NATS server that Tidemark works with: the server's own default. */
export const MESSAGE_BYTES_MIN = 1024 * 1024;

/** Of all aggregates of one result. What is left of a message is for its key and the commit's marker. */
export const RESULT_BYTES_MAX = 896 * 1024;

/** Longest key of a result, as of an event. */
export const GROUP_KEY_BYTES_MAX = 1024;

export const EDGE_BYTES_MAX = 1024;
export const COLLECT_BYTES_MAX = 256 * 1024;
export const COLLECT_STRING_BYTES_MAX = 1024;
export const TOP_K_BYTES_MAX = 256;

/** Numbers, tags and lengths around a value, and the record's own names. */
const FRAME = 96;
/** Tags and lengths of an item of a list, and of a record of value, count and error. */
const LIST_ITEM = 16;
const TOP_K_ITEM = 96;
const NUMBER = 16;
/** A DDSketch has two stores of 32 octaves of 2^bits bins, a bin at most a double. */
const bytesOfQuantiles = (relativeError: number): number => {
  let bins = 2 ** 3;
  while (1 / (2 * bins + 1) > relativeError) bins *= 2;
  return 2 * 32 * bins * 8;
};

/** Greatest size in bytes, of state and value alike. */
export const weightOf = (
  definition: AggregateDefinition,
  inputType: ExpressionType | undefined,
): number => {
  const text = inputType === "string";
  switch (definition.fn) {
    case "first":
    case "last":
      return FRAME + (text ? EDGE_BYTES_MAX : NUMBER);
    case "distinct":
      return FRAME + 2 ** definition.precision;
    case "quantile":
      return FRAME + bytesOfQuantiles(definition.relativeError);
    case "quantiles":
      return FRAME + bytesOfQuantiles(definition.relativeError) + definition.qs.length * 48;
    case "topK": {
      const item = TOP_K_ITEM + (text ? TOP_K_BYTES_MAX : NUMBER);
      const watched = definition.sketch ? definition.k + definition.capacity : definition.capacity;
      return FRAME + item * watched;
    }
    case "collect": {
      const item = LIST_ITEM + (text ? COLLECT_STRING_BYTES_MAX : NUMBER);
      const bytes = Math.min(
        item * definition.limit,
        COLLECT_BYTES_MAX + LIST_ITEM * definition.limit,
      );
      return FRAME + bytes;
    }
    case "custom":
      // A UTF-16 unit, counted as one byte, is up to 3; and so is the encoding of what is not text.
      return FRAME + 3 * STATE_BYTES_MAX;
    default:
      return FRAME;
  }
};

const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;

/** What is wrong with aggregates that could weigh too much together. */
export const overweight = (
  aggregates: readonly {
    readonly name: string;
    readonly definition: AggregateDefinition;
    readonly inputType: ExpressionType | undefined;
  }[],
): string | undefined => {
  const weights = aggregates.map(
    ({ name, definition, inputType }) => [name, weightOf(definition, inputType)] as const,
  );
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  if (total <= RESULT_BYTES_MAX) return undefined;
  const heaviest = weights.toSorted(([, a], [, b]) => b - a).slice(0, 3);
  const named = heaviest.map(([name, weight]) => `${name} up to ${kib(weight)}`).join(", ");
  return (
    `one result may weigh ${kib(total)}, but the limit is ${kib(RESULT_BYTES_MAX)}: ${named}. Lower their limit, ` +
    `capacity or precision, raise relativeError, or split the projection`
  );
};
