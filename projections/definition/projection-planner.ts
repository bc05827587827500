/**
 * Plans projections of which one may be the table of another: that one first.
 *
 * P1. Each is planned once; what is wrong with a table is told where the table itself is planned.
 * P2. A projection is never its own table, by however many others.
 */
import { DefinitionError } from "../errors.ts";
import type { ProjectionDefinition } from "./definition.ts";
import { tableOf } from "./join-sources.ts";
import { planProjection } from "./plan-projection.ts";
import type { ProjectionPlan, TopicPlan } from "./plan.ts";

export class ProjectionPlanner {
  readonly #topics: readonly TopicPlan[];
  readonly #definitions: ReadonlyMap<string, ProjectionDefinition>;
  readonly #plans = new Map<string, ProjectionPlan>();

  constructor(topics: readonly TopicPlan[], definitions: readonly ProjectionDefinition[]) {
    this.#topics = topics;
    this.#definitions = new Map(definitions.map((definition) => [definition.name, definition]));
  }

  /**
   * Throws a {@link DefinitionError} that lists every mistake of this projection. Undefined if its table
   * could not be planned, which has mistakes of its own.
   */
  plan(definition: ProjectionDefinition): ProjectionPlan | undefined {
    const known = this.#plans.get(definition.name);
    if (known !== undefined) return known;
    // Planning says what is wrong with one that reads another topic than it is given.
    const topic =
      this.#topics.find((each) => each.definition.name === definition.topic) ?? this.#topics[0];
    if (topic === undefined || !this.#hasTable(definition)) return undefined;
    const plan = planProjection(
      definition,
      topic,
      this.#topics,
      [...this.#plans.values()],
      [...this.#definitions.keys()].filter((name) => name !== definition.name),
    );
    this.#plans.set(definition.name, plan);
    return plan;
  }

  /** Plans its table, if it has one. What is no projection at all the check of the join says. */
  #hasTable(definition: ProjectionDefinition): boolean {
    const table = this.#definitions.get(tableOf(definition) ?? "");
    if (table === undefined) return true;
    this.#refuseCycle(definition);
    try {
      return this.plan(table) !== undefined;
    } catch (error) {
      if (error instanceof DefinitionError) return false;
      throw error;
    }
  }

  /** P2. */
  #refuseCycle(definition: ProjectionDefinition): void {
    const path = [definition.name];
    for (;;) {
      const next = tableOf(this.#definitions.get(path.at(-1)!) ?? definition);
      if (next === undefined || !this.#definitions.has(next)) return;
      const repeated = path.includes(next);
      path.push(next);
      if (!repeated) continue;
      // One that only leads into a circle is not in it.
      if (next !== definition.name) return;
      throw new DefinitionError(`projection ${JSON.stringify(definition.name)}`, [
        { path: "right.projection", message: `is a table of itself: ${path.join(" reads ")}` },
      ]);
    }
  }
}
