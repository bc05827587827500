/**
 * Plans all that a configuration defines: schemas loaded, fields resolved. Every process plans for
 * itself, from the same files; a definition's digest shows whether they agree.
 */
import { planTopic } from "../../projections/definition/plan-projection.ts";
import { ProjectionPlanner } from "../../projections/definition/projection-planner.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { DefinitionError, SchemaError, type Mistake } from "../../projections/errors.ts";
import { loadSchemas, type SchemaSet } from "../../projections/schema/schema-set.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./errors.ts";

export interface PlannedTopic {
  readonly plan: TopicPlan;
  readonly schemas: SchemaSet;
  /** In order of the configuration. One that reads several topics is that of its first. */
  readonly projections: readonly ProjectionPlan[];
}

/** Throws a {@link ConfigError} that lists every mistake of every topic and projection. */
export const planConfig = (
  config: Pick<Config, "topics" | "projections">,
): readonly PlannedTopic[] => {
  const mistakes: Mistake[] = [];
  const attempt = <T>(subject: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (error instanceof DefinitionError) {
        const { subject: who } = error;
        mistakes.push(
          ...error.mistakes.map(({ path, message }) => ({
            path: path === "" ? who : `${who}: ${path}`,
            message,
          })),
        );
      } else if (error instanceof SchemaError) {
        mistakes.push({ path: subject, message: error.message });
      } else throw error;
      return undefined;
    }
  };
  const planned = config.topics.flatMap((topic) => {
    const subject = `topic ${JSON.stringify(topic.name)}`;
    const schemas = attempt(subject, () => loadSchemas(topic.schemas));
    const plan = schemas && attempt(subject, () => planTopic(topic, schemas));
    if (schemas === undefined || plan === undefined) return [];
    return { plan, schemas };
  });
  const planner = new ProjectionPlanner(
    planned.map(({ plan }) => plan),
    config.projections,
  );
  const withProjections = planned.map(({ plan, schemas }) => ({
    plan,
    schemas,
    projections: config.projections
      .filter((definition) => definition.topic === plan.definition.name)
      .flatMap((definition) => attempt("", () => planner.plan(definition)) ?? []),
  }));
  if (mistakes.length > 0) throw new ConfigError({ mistakes });
  return withProjections;
};
