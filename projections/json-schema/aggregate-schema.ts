/** The JSON Schema of each aggregate. */
import {
  AGGREGATE_FORMS,
  COLLECTED,
  PRECISIONS,
  QUANTILES_MAX,
  RELATIVE_ERRORS,
  TOP_K,
  TOP_K_CAPACITY_MAX,
} from "../definition/check-aggregate.ts";
import type { AggregateDefinition } from "../definition/definition.ts";
import { EXPRESSION } from "./expression-schema.ts";
import { between, flag, object, optional, whole, type Schema } from "./parts.ts";

type Keys<T> = T extends unknown ? keyof T : never;
/** It is functions: write it in TypeScript. */
const IN_CODE = "custom" satisfies AggregateDefinition["fn"];
type InJson = Exclude<AggregateDefinition, { readonly fn: typeof IN_CODE }>;
type Option = Exclude<Keys<InJson>, "fn" | "of">;

/** Those without a JSON form. */
export const AGGREGATES_IN_CODE: readonly string[] = [IN_CODE];

const share = between({ min: 0, max: 1 });

/** Every option that some aggregate has; one means the same in all that have it. */
const OPTIONS: { readonly [Name in Option]: Schema } = {
  population: optional(flag),
  precision: optional(whole(PRECISIONS)),
  sketch: optional(flag),
  q: share,
  qs: { type: "array", items: share, minItems: 1, maxItems: QUANTILES_MAX, uniqueItems: true },
  relativeError: optional(between(RELATIVE_ERRORS)),
  k: whole(TOP_K),
  capacity: optional(whole({ min: TOP_K.min, max: TOP_K_CAPACITY_MAX })),
  limit: whole(COLLECTED),
};

const REQUIRED: readonly string[] = ["q", "qs", "k", "limit"] satisfies readonly Option[];

export const AGGREGATE_DEFINITION: Schema = {
  anyOf: Object.entries(AGGREGATE_FORMS).flatMap(([fn, { takes, options }]) => {
    if (fn === IN_CODE) return [];
    const names = Object.keys(options) as Option[];
    const own = Object.fromEntries(names.map((name) => [name, OPTIONS[name]]));
    const of: Readonly<Record<string, Schema>> = takes === "nothing" ? {} : { of: EXPRESSION };
    const required = ["fn", ...Object.keys(of), ...names.filter((key) => REQUIRED.includes(key))];
    return object({ fn: { const: fn }, ...of, ...own }, required);
  }),
};
