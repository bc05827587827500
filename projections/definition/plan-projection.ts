/**
 * From a definition to a plan: names resolved, expressions typed, every mistake named. The one door
 * between what users write and what runs; data of unknown origin may come in here.
 */
import { DefinitionError } from "../errors.ts";
import { checkProjection } from "./check-projection.ts";
import { checkTopic } from "./check-topic.ts";
import type { ProjectionDefinition, TopicDefinition } from "./definition.ts";
import { suggestion } from "./did-you-mean.ts";
import { digestOf } from "./digest.ts";
import { requiresKeyLocality } from "./key-locality.ts";
import type { EventTypeSchema, ProjectionPlan, TopicPlan } from "./plan.ts";
import { at, Mistakes } from "./reading.ts";

/** Where event types are looked up: `loadSchemas` gives one, tests may write one down. */
export interface EventTypes {
  /** Full names of all message types. */
  readonly typeNames: readonly string[];
  eventType(name: string): EventTypeSchema | undefined;
}

const subjectOf = (kind: string, value: unknown): string => {
  const name = (value as { readonly name?: unknown } | undefined)?.name;
  return typeof name === "string" ? `${kind} ${JSON.stringify(name)}` : kind;
};

/** Throws a {@link DefinitionError} that lists every mistake. */
export const planTopic = (definition: TopicDefinition, schemas: EventTypes): TopicPlan => {
  const mistakes = new Mistakes();
  const checked = checkTopic(definition, mistakes);
  const types = (checked?.types ?? []).flatMap((name, index) => {
    const type = schemas.eventType(name);
    if (type !== undefined) return type;
    if (typeof name !== "string") return [];
    mistakes.add(
      at("types", index),
      `no schema declares a message ${JSON.stringify(name)}` +
        suggestion(name, schemas.typeNames, "messages"),
    );
    return [];
  });
  if (checked === undefined || mistakes.list.length > 0) {
    throw new DefinitionError(subjectOf("topic", definition), mistakes.list);
  }
  return { definition: checked, types };
};

type PlanOf<Definition extends ProjectionDefinition> = Extract<
  ProjectionPlan,
  { readonly kind: NonNullable<Definition["kind"]> }
>;

/**
 * Throws a {@link DefinitionError} that lists every mistake. `topic` is that of the definition; `others`
 * are those that only a part of it reads, such as a side of a join; `projections` those that may be its table.
 * `names`: of all projections that could be planned as such, for who mistypes one.
 */
export const planProjection = <const Definition extends ProjectionDefinition>(
  definition: Definition,
  topic: TopicPlan,
  others: readonly TopicPlan[] = [],
  projections: readonly ProjectionPlan[] = [],
  names?: readonly string[],
): PlanOf<Definition> => {
  const mistakes = new Mistakes();
  const resolved = checkProjection(definition, mistakes, {
    topics: [topic, ...others],
    projections,
    names,
  });
  // Once more without the topic: the same data, with the names of enum values still in it.
  const written = checkProjection(definition, new Mistakes(), undefined)?.definition;
  if (resolved === undefined || written === undefined || mistakes.list.length > 0) {
    throw new DefinitionError(subjectOf("projection", definition), mistakes.list);
  }
  const { definition: resolvedDefinition, kind, reads, columns, merged: byField } = resolved;
  const { where, key } = resolvedDefinition;
  const { apart } = resolved;
  const rekeyed = apart || (byField && requiresKeyLocality(kind.plan.kind, kind.definition));
  return {
    // The kind's own part fits the kind's definition: `kinds.ts` says so of each.
    ...kind.plan,
    definition: written,
    topic: resolved.topic!,
    ...(kind.sources && { sources: kind.sources }),
    reads,
    columns,
    where: apart ? undefined : where,
    key,
    outputs: kind.outputs,
    merged: byField && !rekeyed,
    rekeyed,
    digest: digestOf(resolved),
  } as unknown as PlanOf<Definition>;
};
