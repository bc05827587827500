/**
 * Checks what joins have beside what all projections have: their sides, when two events belong together,
 * and the values of results. Where the sides come from is said in `join-sources.ts`.
 */
import {
  article,
  checkExpression,
  printExpression,
  SIDES,
  type Scope,
} from "./check-expression.ts";
import { checkKey } from "./check-key.ts";
import type { KindChecker } from "./checked-kind.ts";
import { checkCompactedSide } from "./compacted-source.ts";
import { unionOfColumns } from "./columns.ts";
import type {
  AsOfDefinition,
  IntervalDefinition,
  JoinMode,
  JoinSideDefinition,
} from "./definition.ts";
import { suggestion } from "./did-you-mean.ts";
import { canonicalJson } from "./digest.ts";
import { formatDuration } from "./duration.ts";
import type { Expression, ExpressionType, SideName } from "./expression.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import { joinInputs } from "./join-sources.ts";
import type { JoinPlan, JoinSidePlan, SourcePlan } from "./plan.ts";
import { ANY_SIGN, at, POSITIVE, shown, Mistakes, type Fields } from "./reading.ts";
import { RETRACTION_TYPE, ROW_TYPE, rowsInOrder, windowColumnsOf } from "./table-rows.ts";
import { columnsOf, readsOf, type UnionPart } from "./union-topic.ts";

export const SIDE_KEYS = [
  "topic",
  "projection",
  "types",
  "where",
  "key",
] as const satisfies readonly (keyof JoinSideDefinition)[];

export const INTERVAL_MODES: readonly JoinMode[] = [
  "inner",
  "left",
  "right",
  "full",
  "semi",
  "anti",
];
export const AS_OF_MODES: readonly JoinMode[] = ["inner", "left"];
/** Whose results have no event of the right side. */
const LEFT_ONLY: readonly JoinMode[] = ["semi", "anti"];

/** What SQL calls them. */
const OTHER_NAMES: Readonly<Record<string, JoinMode>> = {
  outer: "full",
  "full outer": "full",
  "left outer": "left",
  "right outer": "right",
};

export const JOIN_VALUES_MAX = 100;

export const joinKind: KindChecker<JoinPlan> = {
  keys: ["left", "right", "on", "within", "asOf", "mode", "values"],
  inputs: joinInputs,
  check: (given, { mistakes, scope, apart, union }) => {
    const side = (name: SideName): CheckedSide | undefined =>
      checkSide(name, given, { mistakes, scope, apart, part: union?.parts[SIDES.indexOf(name)] });
    const left = side("left");
    const right = side("right");
    const { within, asOf } = checkMatch(given, right?.scope, mistakes);
    const whereOfJoin = (given["where"] ?? undefined) as Expression | undefined;
    [left, right].forEach((each, index) => {
      if (each?.part === undefined || each.part.table !== undefined) return;
      const { key, where } = each.definition;
      const compared = { side: SIDES[index]!, topic: each.part.topic, key, where, whereOfJoin };
      checkCompactedSide({ ...compared, asOf: within === undefined }, mistakes);
    });
    const mode = checkMode(given["mode"], asOf !== undefined, mistakes);
    const sides = left?.scope && right?.scope && { left: left.scope, right: right.scope };
    const pair = sides && scopeOf(sides);
    const on = checkBoolean(given["on"] ?? undefined, "on", mistakes, pair);
    const leftOnly = mode !== undefined && LEFT_ONLY.includes(mode);
    const result = sides && leftOnly ? scopeOf({ left: sides.left }) : pair;
    const values = checkValues(given["values"], result, mistakes);
    if (scope !== undefined && sides !== undefined) noteColumns(scope, sides);
    const match = { on, within, asOf, mode: mode! };
    const expressions = values.map(({ expression }) => expression);
    return {
      definition: {
        kind: "join",
        left: (left ?? NO_SIDE).definition,
        right: (right ?? NO_SIDE).definition,
        ...match,
        values: Object.fromEntries(values.map(({ name, expression }) => [name, expression])),
      },
      plan: {
        kind: "join",
        left: sidePlanOf(left ?? NO_SIDE, apart),
        right: sidePlanOf(right ?? NO_SIDE, apart),
        ...match,
        values: expressions,
      },
      outputs: values.map(({ name, type }) => ({ name, type })),
      covered: {
        kind: "join",
        left: coveredSide(left ?? NO_SIDE, scope),
        right: coveredSide(right ?? NO_SIDE, scope),
        ...match,
        values: values.map(({ name, expression }) => ({ as: name, of: expression })),
      },
      sources: [left, right].every((each) => each?.part !== undefined)
        ? [left, right].map((each) => sourceOf(each!))
        : undefined,
    };
  },
};

interface CheckedSide {
  readonly definition: JoinSideDefinition;
  /** By type index; empty without a scope. */
  readonly reads: readonly boolean[];
  readonly scope: Scope | undefined;
  /** `where` of the join and of the side. */
  readonly selects: Expression | undefined;
  /** Of a join whose sides are apart. */
  readonly part: UnionPart | undefined;
}

/** In place of a side after a mistake. */
const NO_SIDE: CheckedSide = {
  definition: {
    topic: undefined,
    projection: undefined,
    types: [],
    where: undefined,
    key: { event: "key" },
  },
  reads: [],
  scope: undefined,
  selects: undefined,
  part: undefined,
};

/** What routes its events to their key. */
const sourceOf = ({ definition, reads, scope, selects, part }: CheckedSide): SourcePlan => ({
  topic: part!.topic,
  reads: readsOf(part!, reads),
  columns: columnsOf(part!, [...scope!.columns.values()]),
  where: selects,
  key: definition.key,
  ...(part!.table && { table: part!.table }),
});

/** Its columns are complete once all expressions of the join are checked. */
const sidePlanOf = (
  { definition, reads, scope, part }: CheckedSide,
  apart: boolean,
): JoinSidePlan => ({
  ...(part?.table && {
    table: { retraction: part.firstType + RETRACTION_TYPE, inOrder: rowsInOrder(part.table) },
  }),
  reads,
  // Events of sides that are apart were selected before they came together.
  where: apart ? undefined : definition.where,
  columns: [...(scope?.columns.values() ?? [])],
});

/** Of types by their names: their indexes are not what results depend on. */
const coveredSide = (side: CheckedSide, scope: Scope | undefined): unknown => ({
  types: scope?.types
    .filter((_, index) => side.reads[index])
    .map((type) => type!.name)
    .sort(),
  where: side.definition.where,
});

/** What the decoder reads: the fields of the whole join's expressions, and those of its sides. */
const noteColumns = (scope: Scope, sides: NonNullable<Scope["sides"]>): void => {
  const readers = [scope, sides.left, sides.right].map((each) => [
    ...(each?.columns.values() ?? []),
  ]);
  for (const column of unionOfColumns(readers)) scope.columns.set(column.path, column);
};

interface SideContext {
  readonly mistakes: Mistakes;
  readonly scope: Scope | undefined;
  readonly apart: boolean;
  readonly part: UnionPart | undefined;
}

const checkSide = (
  path: SideName,
  join: Fields,
  { mistakes, scope, apart, part }: SideContext,
): CheckedSide | undefined => {
  const value = join[path];
  if (value === undefined) {
    const example = '{ types: ["ads.Click"] }';
    return mistakes.add(path, `is missing: which events are on this side, for example ${example}`);
  }
  const given = mistakes.object(value, path, SIDE_KEYS, 'a side, such as { types: ["ads.Click"] }');
  if (given === undefined) return undefined;
  if ((given["projection"] ?? undefined) !== undefined) {
    return checkTable(path, given, join, { mistakes, scope, part });
  }
  const topic = mistakes.text(given["topic"] ?? join["topic"] ?? "", at(path, "topic"));
  const here = scope?.types.map((type, index) => (isOf(part, index) ? type : undefined));
  const types = checkTypes(given["types"] ?? [], at(path, "types"), mistakes, here, part);
  const reads =
    here?.map((type) => type !== undefined && (types.length === 0 || types.includes(type.name))) ??
    [];
  const own: Scope | undefined = scope && {
    types: scope.types.map((type, index) => (reads[index] ? type : undefined)),
    columns: new Map(),
  };
  if (part !== undefined && !reads.includes(true)) {
    mistakes.add(path, `has no event types: "types" of the join names none of its topic`);
  }
  const where = checkBoolean(given["where"] ?? undefined, at(path, "where"), mistakes, own);
  const ofJoin = (given["key"] ?? undefined) === undefined;
  const key = checkKey(
    given["key"] ?? join["key"],
    ofJoin ? "key" : at(path, "key"),
    // The key of the whole join is checked as that of any projection, unless its sides are apart.
    ofJoin && !apart ? new Mistakes() : mistakes,
    apart ? own : undefined,
  );
  const all = apart
    ? checkBoolean(join["where"] ?? undefined, "where", own ? mistakes : new Mistakes(), own)
    : undefined;
  if (topic === undefined || key === undefined) return undefined;
  const selects = all && where ? ({ op: "and", args: [all, where] } as const) : (all ?? where);
  const definition = { topic, projection: undefined, types, where, key };
  return { definition, reads, scope: own, selects, part };
};

/** Of the results of a projection that is grouped by it. */
const TABLE_KEY: Expression = { event: "key" };

/** A side whose rows are results of a projection. */
const checkTable = (
  path: SideName,
  given: Fields,
  join: Fields,
  { mistakes, scope, part }: Omit<SideContext, "apart">,
): CheckedSide | undefined => {
  const projection = mistakes.text(given["projection"], at(path, "projection"));
  const asOf = (join["asOf"] ?? undefined) !== undefined;
  if (path !== "right" || !asOf) {
    return mistakes.add(
      at(path, "projection"),
      'a projection can only be a table: on the right side, with "asOf"',
    );
  }
  const instead: Readonly<Record<string, string>> = {
    topic: "the projection has its own",
    types: "its rows are the results of the projection",
    where: 'say in "asOf.deleted" which rows are none',
    key: "its rows have the keys of the projection's results",
  };
  for (const [key, why] of Object.entries(instead)) {
    const value = given[key] ?? undefined;
    // What a definition has that was checked before.
    const isDefault =
      value === undefined ||
      (Array.isArray(value) && value.length === 0) ||
      (key === "key" && canonicalJson(value) === canonicalJson(TABLE_KEY));
    if (!isDefault) mistakes.add(at(path, key), `a table has none: ${why}; leave it out`);
  }
  if (projection === undefined) return undefined;
  const reads = scope?.types.map((_, index) => isOf(part, index)) ?? [];
  const row = (part?.firstType ?? 0) + ROW_TYPE;
  // Of a retraction nothing is read but its window.
  const own: Scope | undefined = scope && {
    types: scope.types.map((type, index) => (index === row ? type : undefined)),
    columns: new Map(),
    rowsOf: projection,
  };
  if (part !== undefined && own !== undefined) {
    for (const column of windowColumnsOf(own.types.length, part.firstType)) {
      own.columns.set(column.path, column);
    }
  }
  return {
    definition: { topic: undefined, projection, types: [], where: undefined, key: TABLE_KEY },
    reads,
    scope: own,
    selects: undefined,
    part,
  };
};

const isOf = (part: UnionPart | undefined, type: number): boolean =>
  part === undefined || (type >= part.firstType && type < part.firstType + part.topic.types.length);

const checkTypes = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  types: Scope["types"] | undefined,
  part: UnionPart | undefined,
): readonly string[] => {
  const items = mistakes.items(value, path) ?? [];
  const known = types?.flatMap((type) => type?.name ?? []);
  const reader =
    part === undefined ? "the join reads" : `topic ${shown(part.topic.definition.name)} has`;
  items.forEach((item, index) => {
    const type = mistakes.text(item, at(path, index));
    if (type === undefined || known === undefined || known.includes(type)) return;
    mistakes.add(
      at(path, index),
      `${reader} no event type ${shown(type)}` + suggestion(type, known, "types"),
    );
  });
  return items.filter((item) => typeof item === "string");
};

const checkBoolean = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): Expression | undefined => {
  if (value === undefined) return undefined;
  const checked = checkExpression(value, path, mistakes, scope);
  if (checked?.type !== undefined && checked.type !== "boolean") {
    mistakes.add(
      path,
      `must be a boolean, but ${printExpression(checked.expression)} is ${article(checked.type)}`,
    );
  }
  return checked?.expression;
};

const checkMatch = (
  given: Fields,
  right: Scope | undefined,
  mistakes: Mistakes,
): { readonly within?: IntervalDefinition; readonly asOf?: AsOfDefinition } => {
  const interval = given["within"] ?? undefined;
  const table = given["asOf"] ?? undefined;
  if ((interval === undefined) === (table === undefined)) {
    const both = interval === undefined ? "is missing" : 'stands beside "asOf"';
    mistakes.add(
      "within",
      `${both}: there must be either this, to join events whose times are near each other, or "asOf", to ` +
        "join events with the latest right event before them",
    );
  }
  const within = interval === undefined ? undefined : checkInterval(interval, mistakes);
  const asOf = table === undefined ? undefined : checkAsOf(table, right, mistakes);
  return { ...(within && { within }), ...(asOf && { asOf }) };
};

const checkInterval = (value: unknown, mistakes: Mistakes): IntervalDefinition | undefined => {
  const wanted = 'an interval, such as { after: "1 minute" }, in JSON { "afterMs": "1 minute" }';
  const given = mistakes.object(value, "within", ["beforeMs", "afterMs"], wanted);
  if (given === undefined) return undefined;
  if ((given["beforeMs"] ?? given["afterMs"] ?? undefined) === undefined) {
    // What is mistyped has been noted already.
    const others = Object.keys(given).filter((key) => key !== "beforeMs" && key !== "afterMs");
    if (others.some((key) => given[key] !== undefined)) return undefined;
    return mistakes.add("within", 'says neither "before" nor "after"');
  }
  const beforeMs = mistakes.duration(given["beforeMs"] ?? 0, "within.beforeMs", ANY_SIGN);
  const afterMs = mistakes.duration(given["afterMs"] ?? 0, "within.afterMs", ANY_SIGN);
  if (beforeMs === undefined || afterMs === undefined) return undefined;
  if (beforeMs + afterMs < 0) {
    return mistakes.add(
      "within",
      `is empty: it would end ${formatDuration(-beforeMs - afterMs)} before it begins`,
    );
  }
  return { beforeMs, afterMs };
};

const checkAsOf = (
  value: unknown,
  right: Scope | undefined,
  mistakes: Mistakes,
): AsOfDefinition | undefined => {
  const given = mistakes.object(value, "asOf", ["deleted", "ttlMs"]);
  if (given === undefined) return undefined;
  const deleted = checkBoolean(given["deleted"] ?? undefined, "asOf.deleted", mistakes, right);
  const ttl = given["ttlMs"] ?? undefined;
  const ttlMs = ttl === undefined ? undefined : mistakes.duration(ttl, "asOf.ttlMs", POSITIVE);
  return { deleted, ttlMs };
};

const checkMode = (value: unknown, asOf: boolean, mistakes: Mistakes): JoinMode | undefined => {
  const mode = mistakes.oneOf(value ?? "inner", "mode", INTERVAL_MODES, OTHER_NAMES);
  if (mode === undefined || !asOf || AS_OF_MODES.includes(mode)) return mode;
  return mistakes.add(
    "mode",
    `a join as of event time is "inner" or "left", not ${shown(mode)}: the table's rows wait for nobody`,
  );
};

/** Of an expression over the events of these sides. */
const scopeOf = (sides: NonNullable<Scope["sides"]>): Scope => ({
  types: [],
  columns: new Map(),
  sides,
});

interface CheckedValue {
  readonly name: string;
  readonly expression: Expression;
  readonly type: ExpressionType;
}

const checkValues = (
  value: unknown,
  scope: Scope | undefined,
  mistakes: Mistakes,
): readonly CheckedValue[] => {
  const wanted = 'values by their names, such as { id: left.field("id") }';
  const given = value === undefined ? {} : mistakes.record(value, "values", wanted);
  if (given === undefined) return [];
  const names = Object.keys(given);
  if (names.length === 0) {
    mistakes.add("values", 'is empty; name at least one, for example { id: left.field("id") }');
  } else if (names.length > JOIN_VALUES_MAX) {
    mistakes.add("values", `has ${names.length} values; ${JOIN_VALUES_MAX} are the limit`);
  }
  return names.flatMap((name) => {
    const path = at("values", name);
    if (!OUTPUT_NAME.test(name)) {
      mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(name)}`);
    }
    const checked = checkExpression(given[name], path, mistakes, scope);
    return checked === undefined
      ? []
      : { name, expression: checked.expression, type: checked.type ?? "string" };
  });
};
