/** The schemas of the running system's topics, to read payloads with; none where no system runs here. */
import { join } from "node:path";
import { Effect } from "effect";
import { planConfig } from "../config/plan.ts";
import { RUNNING_CONFIG_FILE, readRunningConfig } from "../processes/running-config.ts";
import type { ReaderOf } from "./dead-letter-payload.ts";
import { findSystem, type AddressOptions } from "./running-system.ts";

/** Dead letters are shown all the same when the configuration cannot be read: as bytes. */
export const payloadReaders = (options: AddressOptions): Effect.Effect<ReaderOf> =>
  Effect.tryPromise(async (): Promise<ReaderOf> => {
    const { run } = await findSystem(options, process.env);
    if (run === undefined) return () => undefined;
    const config = await readRunningConfig(join(run.dataDir, RUNNING_CONFIG_FILE));
    // Only topics: of projections that hold functions the file knows just where they are.
    const schemas = new Map(
      planConfig({ topics: config.topics, projections: [] }).map(({ plan, schemas: own }) => [
        plan.definition.name,
        own,
      ]),
    );
    return (topic) => schemas.get(topic);
  }).pipe(Effect.catch(() => Effect.succeed<ReaderOf>(() => undefined)));
