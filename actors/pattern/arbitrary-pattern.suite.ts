/** Random patterns, that a definition's check takes, and random events. */
import fc from "fast-check";
import type { Expression } from "../../projections/definition/expression.ts";
import type {
  Contiguity,
  PatternElement,
  PatternExpression,
  PatternGroup,
  PatternNegation,
  PatternStep,
  SkipDefinition,
} from "../../projections/definition/pattern-definition.ts";
import type { ModelEvent, ModelPattern } from "./pattern-model.suite.ts";
import { stepsOf } from "./pattern-run.suite.ts";

export const LETTERS = ["a", "b", "c"] as const;
const CONTIGUITIES: readonly Contiguity[] = ["next", "followedBy", "followedByAny"];

const contiguity = fc.constantFrom(...CONTIGUITIES);
const letter: fc.Arbitrary<Expression> = fc
  .constantFrom(...LETTERS)
  .map((name) => ({ field: name }));
/** Looks back at a step, perhaps one that has taken nothing. */
const lookingBack = (step: string): fc.Arbitrary<PatternExpression> =>
  fc.constantFrom<PatternExpression>(
    { op: "ge", args: [{ field: "v" }, { step, fn: "last", of: { field: "v" } }] },
    { op: "lt", args: [{ step, fn: "count" }, { literal: 2 }] },
    {
      op: "or",
      args: [
        { op: "lt", args: [{ field: "v" }, { step, fn: "first", of: { field: "v" } }] },
        { op: "ge", args: [{ step, fn: "sum", of: { field: "v" } }, { literal: 3 }] },
      ],
    },
  );
const where = (step: string): fc.Arbitrary<PatternExpression | undefined> =>
  fc.oneof(
    { weight: 6, arbitrary: letter },
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: lookingBack(step) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(letter, lookingBack(step))
        .map(([left, right]) => ({ op: "and" as const, args: [left, right] as const })),
    },
  );
const times = fc.constantFrom<PatternStep["times"]>(
  { min: 1, max: 1 },
  { min: 1, max: 1 },
  { min: 2, max: 2 },
  { min: 1, max: 3 },
  { min: 1 },
  { min: 2 },
);

const stepNamed = (name: string, back: string): fc.Arbitrary<PatternStep> =>
  fc.record({
    step: fc.constant(name),
    where: where(back),
    contiguity,
    times,
    optional: fc.boolean(),
    between: contiguity,
    greedy: fc.boolean(),
    until: fc.option(letter, { nil: undefined, freq: 4 }),
  });
const negationNamed = (name: string, back: string): fc.Arbitrary<PatternNegation> =>
  fc.record({
    not: fc.constant(name),
    where: where(back),
    contiguity: fc.constantFrom("next", "followedBy"),
  });

/** Gives up what a definition's check would refuse: see `check-pattern.ts`. */
const legal = (elements: readonly PatternElement[], within: boolean): readonly PatternElement[] => {
  // Only what is repeated has an end of its repetitions.
  const cut = elements.map((each) =>
    "step" in each && each.times.max === 1 ? { ...each, until: undefined } : each,
  );
  while ("not" in cut[0]!) cut.shift();
  const first = cut[0] as PatternStep | PatternGroup;
  cut[0] = { ...first, contiguity: undefined, optional: first.optional && cut.length > 2 };
  if (cut.every((each) => "not" in each || each.optional)) cut[0] = { ...cut[0], optional: false };
  let end = true;
  for (let i = cut.length - 1; i >= 0 && end; i--) {
    const each = cut[i]!;
    if ("not" in each) {
      if (!within) cut.splice(i, 1);
      continue;
    }
    if ("step" in each) cut[i] = { ...each, greedy: false };
    end = each.optional;
  }
  return cut;
};

const elementNamed = (name: string, back: string): fc.Arbitrary<PatternElement> =>
  fc.oneof(
    { weight: 4, arbitrary: stepNamed(name, back) },
    { weight: 1, arbitrary: negationNamed(name, back) },
  );
export const plainElements = fc.oneof(
  fc.tuple(stepNamed("A", "A"), elementNamed("B", "A")),
  fc.tuple(stepNamed("A", "A"), elementNamed("B", "A"), elementNamed("C", "B")),
  fc.tuple(
    stepNamed("A", "A"),
    elementNamed("B", "B"),
    elementNamed("C", "A"),
    elementNamed("D", "C"),
  ),
);
/** A group's end must be legal too: it may be the end of the pattern. */
export const groupElements = fc
  .record({
    first: stepNamed("A", "A"),
    inner: fc.tuple(stepNamed("G", "A"), elementNamed("H", "G")),
    times,
    contiguity,
    between: contiguity,
    optional: fc.boolean(),
    last: elementNamed("Z", "G"),
    leads: fc.boolean(),
  })
  .map(({ first, inner, times: repeated, last, leads, ...rest }): readonly PatternElement[] => {
    const group: PatternGroup = { group: legal(inner, false), times: repeated, ...rest };
    return leads ? [group, first, last] : [first, group, last];
  });
const skips = (elements: readonly PatternElement[]): fc.Arbitrary<SkipDefinition> => {
  const steps = stepsOf({ elements, withinMs: undefined, skip: { strategy: "noSkip" } });
  return fc.oneof(
    fc.constantFrom<SkipDefinition>(
      { strategy: "noSkip" },
      { strategy: "skipToNext" },
      { strategy: "skipPastLastEvent" },
    ),
    fc
      .tuple(
        fc.constantFrom("skipToFirst" as const, "skipToLast" as const),
        fc.constantFrom(...steps),
      )
      .map(([strategy, step]) => ({ strategy, step })),
  );
};
export const patternOf = (
  elements: fc.Arbitrary<readonly PatternElement[]>,
): fc.Arbitrary<ModelPattern> =>
  fc
    .tuple(elements, fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }))
    .map(([drawn, withinMs]) => ({ elements: legal(drawn, withinMs !== undefined), withinMs }))
    .chain((pattern) => skips(pattern.elements).map((skip) => ({ ...pattern, skip })));

export const eventsArbitrary = (maxLength: number): fc.Arbitrary<readonly ModelEvent[]> =>
  fc
    .array(
      fc.record({
        gap: fc.integer({ min: 0, max: 4 }),
        letters: fc.constantFrom("a", "b", "c", "ab", "bc", ""),
        v: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null, freq: 6 }),
      }),
      { maxLength },
    )
    .map((drawn) => {
      let time = 0;
      return drawn.map(({ gap, letters, v }) => {
        time += gap;
        const has = Object.fromEntries(LETTERS.map((name) => [name, letters.includes(name)]));
        return { time, fields: { ...has, v } };
      });
    });
