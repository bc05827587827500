/**
 * Checks one aggregate that came as data and fills its defaults. `AGGREGATE_FORMS` is the one place to add an
 * aggregate to the language; what a form does not name is an unknown key.
 */
import {
  article,
  checkExpression,
  isNumeric,
  printExpression,
  type Scope,
} from "./check-expression.ts";
import { checkFunction, checkVersion } from "./code.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import { checkPlain, NotPlain } from "./plain-state.ts";
import { describeThrown } from "./user-code.ts";
import type { AggregateDefinition } from "./definition.ts";
import type { ExpressionType } from "./expression.ts";
import { at, shown, type Fields, type Mistakes, type Range } from "./reading.ts";

export const DISTINCT_PRECISION = 12;
export const PRECISIONS: Range = { min: 8, max: 16 };

export const QUANTILE_RELATIVE_ERROR = 0.01;
export const RELATIVE_ERRORS: Range = { min: 0.001, max: 0.1 };
export const QUANTILES_MAX = 100;

export const TOP_K: Range = { min: 1, max: 100 };
export const TOP_K_CAPACITY_MAX = 2_048;
export const COLLECTED: Range = { min: 1, max: 1_000 };

export const topKCapacity = (k: number): number => Math.max(256, 16 * k);

type FunctionName = AggregateDefinition["fn"];

interface Form {
  /** `scalar`: a number or a string. */
  readonly takes: "nothing" | "number" | "scalar";
  readonly example: string;
  /** Of its options, and what reads them: the value with its default; mistakes are noted. */
  readonly options: Readonly<Record<string, OptionReader>>;
}

type OptionReader = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  given: Fields,
  scope: Scope | undefined,
) => unknown;

const flag: OptionReader = (value, path, mistakes) => mistakes.boolean(value ?? false, path);

const whole =
  (range: Range, standard: number): OptionReader =>
  (value, path, mistakes) =>
    mistakes.whole(value ?? standard, path, range);

const between =
  ({ min, max }: Range) =>
  (value: unknown, path: string, mistakes: Mistakes): number | undefined =>
    typeof value === "number" && value >= min && value <= max
      ? value
      : mistakes.wrong(path, `a number from ${min} to ${max}`, value);

const SHARE: Range = { min: 0, max: 1 };

/** Those who think in percentiles write 95. */
const share = (value: unknown, path: string, mistakes: Mistakes): number | undefined =>
  typeof value === "number" && value > SHARE.max && value <= 100
    ? mistakes.wrong(path, "a number from 0 to 1", value, `; ${value} % is ${value / 100}`)
    : between(SHARE)(value, path, mistakes);

const relativeError: OptionReader = (value, path, mistakes) =>
  between(RELATIVE_ERRORS)(value ?? QUANTILE_RELATIVE_ERROR, path, mistakes);

const shares: OptionReader = (value, path, mistakes) => {
  const items = mistakes.items(value, path);
  if (items === undefined) return undefined;
  if (items.length === 0 || items.length > QUANTILES_MAX) {
    mistakes.add(path, `must name 1 to ${QUANTILES_MAX} quantiles, not ${items.length}`);
  }
  const names = new Set<string>();
  return items.map((item, index) => {
    const q = share(item, at(path, index), mistakes);
    if (q === undefined) return undefined;
    if (names.has(quantileName(q))) mistakes.add(at(path, index), `is there twice: ${q}`);
    names.add(quantileName(q));
    return q;
  });
};

/** The name of a quantile in a record: "p50", "p99.9". */
export const quantileName = (q: number): string => `p${Number((q * 100).toPrecision(12))}`;

const capacity: OptionReader = (value, path, mistakes, { k }) => {
  const least = typeof k === "number" && k >= 1 && k <= TOP_K.max ? k : 1;
  const range = { min: least, max: TOP_K_CAPACITY_MAX };
  return mistakes.whole(value ?? topKCapacity(least), path, range);
};

const INPUTS_MAX = 16;
const INPUTS_EXAMPLE = 'for example { cents: field("cents") }';

/** Named expressions of any type. */
const inputs: OptionReader = (value, path, mistakes, _given, scope) => {
  if (value === undefined) return mistakes.add(path, `is missing: ${INPUTS_EXAMPLE}`);
  const named = mistakes.record(value, path);
  if (named === undefined) return undefined;
  const names = Object.keys(named);
  if (names.length > INPUTS_MAX) {
    mistakes.add(path, `has ${names.length} expressions; ${INPUTS_MAX} are the limit`);
  }
  return Object.fromEntries(
    names.map((name) => {
      if (!OUTPUT_NAME.test(name)) {
        mistakes.add(at(path, name), `the name must be ${NAME_RULE}, not ${shown(name)}`);
      }
      return [name, checkExpression(named[name], at(path, name), mistakes, scope)?.expression];
    }),
  );
};

const code =
  (example: string): OptionReader =>
  (value, path, mistakes) =>
    checkFunction(value, path, example, mistakes);

/** Without it there would be no result of several partitions, merged sessions, or slices of sliding windows. */
const merge: OptionReader = (value, path, mistakes) => {
  const example = "(earlier, later) => ({ sum: earlier.sum + later.sum })";
  if (value !== undefined) return checkFunction(value, path, example, mistakes);
  return mistakes.add(
    path,
    "is missing: windows are put together from parts (of partitions, of sessions that merge), so every " +
      `aggregate must say how two states are one, such as ${example}; JSON cannot hold it, TypeScript can`,
  );
};

const version: OptionReader = (value, path, mistakes) => checkVersion(value, path, mistakes);

/** Called once here, so that a mistake in it is told before anything runs. */
const init: OptionReader = (value, path, mistakes) => {
  const made = checkFunction(value, path, "() => ({ sum: 0 })", mistakes);
  if (made === undefined) return undefined;
  try {
    checkPlain(made(), "what it returned");
    return made;
  } catch (error) {
    return mistakes.add(path, error instanceof NotPlain ? error.message : describeThrown(error));
  }
};

const required =
  (range: Range): OptionReader =>
  (value, path, mistakes) =>
    mistakes.whole(value, path, range);

const ofNumber = (
  fn: FunctionName,
  options: Form["options"] = {},
  example = `${fn}(field("x"))`,
): Form => ({ takes: "number", example, options });

const ofScalar = (
  fn: FunctionName,
  options: Form["options"] = {},
  example = `${fn}(field("x"))`,
): Form => ({ takes: "scalar", example, options });

export const AGGREGATE_FORMS: Readonly<Record<FunctionName, Form>> = {
  count: { takes: "nothing", example: "count()", options: {} },
  sum: ofNumber("sum"),
  min: ofNumber("min"),
  max: ofNumber("max"),
  mean: ofNumber("mean"),
  variance: ofNumber("variance", { population: flag }),
  stddev: ofNumber("stddev", { population: flag }),
  first: ofScalar("first"),
  last: ofScalar("last"),
  distinct: ofScalar("distinct", {
    precision: whole(PRECISIONS, DISTINCT_PRECISION),
    sketch: flag,
  }),
  topK: ofScalar("topK", { k: required(TOP_K), capacity, sketch: flag }, 'topK(field("x"), 10)'),
  collect: ofScalar(
    "collect",
    { limit: required(COLLECTED) },
    'collect(field("x"), { limit: 100 })',
  ),
  custom: {
    takes: "nothing",
    example: "aggregate({ ... })",
    options: {
      inputs,
      init,
      add: code("(state, input) => ({ sum: state.sum + input.cents })"),
      merge,
      result: code("(state) => state.sum"),
      version,
    },
  },
  quantile: ofNumber(
    "quantile",
    { q: share, relativeError, sketch: flag },
    'quantile(field("x"), 0.99)',
  ),
  quantiles: ofNumber(
    "quantiles",
    { qs: shares, relativeError, sketch: flag },
    'quantiles(field("x"), [0.5, 0.99])',
  ),
};

const FUNCTIONS = Object.keys(AGGREGATE_FORMS) as FunctionName[];

const WANTED =
  'an aggregate, such as sum(field("x")), in JSON { "fn": "sum", "of": { "field": "x" } }';

/** What SQL and others call them. */
const OTHER_NAMES: Readonly<Record<string, FunctionName>> = {
  avg: "mean",
  average: "mean",
  median: "quantile",
  percentile: "quantile",
  percentiles: "quantiles",
  std: "stddev",
  stdev: "stddev",
  uniq: "distinct",
  unique: "distinct",
  countdistinct: "distinct",
  approx_count_distinct: "distinct",
  list: "collect",
  array_agg: "collect",
  heavyhitters: "topK",
  total: "sum",
};

export interface CheckedAggregate {
  readonly name: string;
  readonly definition: AggregateDefinition;
  readonly inputType: ExpressionType | undefined;
}

export const checkAggregate = (
  name: string,
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): CheckedAggregate | undefined => {
  const named = mistakes.record(value, path, WANTED);
  const fn = named && mistakes.oneOf(named["fn"], at(path, "fn"), FUNCTIONS, OTHER_NAMES);
  if (named === undefined || fn === undefined) return undefined;
  const form = AGGREGATE_FORMS[fn];
  const given = mistakes.object(named, path, ["fn", "of", ...Object.keys(form.options)])!;
  const options = Object.fromEntries(
    Object.entries(form.options).map(([key, read]) => [
      key,
      read(given[key], at(path, key), mistakes, given, scope),
    ]),
  );
  if (form.takes === "nothing") {
    if (given["of"] !== undefined) {
      const instead =
        fn === "custom" ? "its expressions are `inputs`" : "it counts events, not values";
      mistakes.add(at(path, "of"), `${fn} takes no expression: ${instead}`);
    }
    return { name, definition: { fn, ...options } as AggregateDefinition, inputType: undefined };
  }
  if (given["of"] === undefined) {
    return mistakes.add(at(path, "of"), `is missing: ${fn} of what? For example ${form.example}`);
  }
  const of = checkExpression(given["of"], at(path, "of"), mistakes, scope);
  if (of === undefined) return undefined;
  const { type } = of;
  if (type !== undefined && !isNumeric(type) && !(form.takes === "scalar" && type === "string")) {
    const wanted = form.takes === "scalar" ? "a number or a string" : "a number";
    mistakes.add(
      at(path, "of"),
      `${fn} takes ${wanted}, but ${printExpression(of.expression)} is ${article(type)}`,
    );
  }
  const definition = { fn, of: of.expression, ...options } as AggregateDefinition;
  return { name, definition, inputType: type };
};
