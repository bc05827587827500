/** What gateway and workers run, planned from the running configuration. */
import { Effect } from "effect";
import { jsonCodec } from "../../gateway/ingest/json-payload.ts";
import type { IngestTopic } from "../../gateway/ingest/topic-gate.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/errors.ts";
import { planConfig } from "../config/plan.ts";

export interface Plans {
  readonly topics: readonly IngestTopic[];
  readonly projections: readonly ProjectionPlan[];
}

export const loadPlans = (
  config: Pick<Config, "topics" | "projections">,
): Effect.Effect<Plans, ConfigError> =>
  Effect.try({
    try: () => {
      const planned = planConfig(config);
      return {
        topics: planned.map(({ plan, schemas }) => ({ plan, json: jsonCodec(schemas) })),
        projections: planned.flatMap(({ projections }) => projections),
      };
    },
    catch: (error) => {
      if (error instanceof ConfigError) return error;
      throw error;
    },
  });
