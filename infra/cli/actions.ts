/**
 * Joins the program's commands to what they do. A command's code is loaded when it is called, so that
 * `tidemark --help` answers at once.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Effect } from "effect";
import type { Config } from "../config/config.ts";
import type { Link } from "../nats/link.ts";
import { CliError } from "./cli-error.ts";
import type { GatewayClient } from "./gateway-client.ts";
import type { Actions, ConfigFlags, Run } from "./program.ts";
import { findSystem, requireGateway, requireNats, type AddressOptions } from "./running-system.ts";
import type { Terminal } from "./terminal/terminal.ts";

const load = <Module>(module: () => Promise<Module>): Effect.Effect<Module> =>
  Effect.promise(module);

const attempt = <A>(run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error });

const wait = (ms: number): Promise<void> => sleep(ms);

const withGateway = (
  options: AddressOptions,
  use: (client: GatewayClient, signal: AbortSignal) => Promise<number>,
): Run =>
  Effect.gen(function* () {
    const system = yield* attempt(() => findSystem(options, process.env));
    const { GatewayClient: Client } = yield* load(() => import("./gateway-client.ts"));
    const client = new Client(requireGateway(system));
    return yield* attempt((signal) => use(client, signal)).pipe(
      Effect.ensuring(Effect.sync(() => client.close())),
    );
  });

/** A connection to the system's NATS for as long as `use` runs. */
const withNats = <A, E>(
  options: AddressOptions,
  use: (link: Link) => Effect.Effect<A, E>,
): Effect.Effect<A, unknown> =>
  Effect.gen(function* () {
    const system = yield* attempt(() => findSystem(options, process.env));
    const { connect } = yield* load(() => import("../nats/connection.ts"));
    const url = requireNats(system);
    const link = yield* connect({ url, name: "tidemark-cli", connectWithinMs: 3_000 }).pipe(
      Effect.mapError(
        (error) =>
          new CliError(error.message, {
            hint: "Start the system with `tidemark start`, or name another server with --nats.",
          }),
      ),
    );
    return yield* use(link);
  }).pipe(Effect.scoped);

interface Development {
  readonly run: (flags: never, terminal: Terminal) => Run;
}

/** Commands that need the repository: its data set and its development tools are not in the package. */
const developmentOnly = (name: "demo" | "bench"): Effect.Effect<Development, CliError> => {
  const file = new URL(`../${name}/${name}.ts`, import.meta.url);
  if (!existsSync(file)) {
    const error = new CliError(`tidemark ${name} is not part of the installed package`, {
      hint: `It runs in a checkout of the repository: npm ci && npm run ${name}.`,
    });
    return Effect.fail(error);
  }
  return Effect.promise(() => import(file.href) as Promise<Development>);
};

/** What the running system runs; without one, what the configuration says. */
const surveyPlan = (options: AddressOptions & ConfigFlags): Effect.Effect<Config, unknown> =>
  attempt(async () => {
    const { run } = await findSystem(options, process.env);
    if (run !== undefined && options.config === undefined) {
      const { join } = await import("node:path");
      const running = await import("../processes/running-config.ts");
      return running.readRunningConfig(join(run.dataDir, running.RUNNING_CONFIG_FILE));
    }
    const { loadConfig } = await import("../config/load.ts");
    return loadConfig({ config: options.config });
  });

export const actions = (terminal: Terminal): Actions => ({
  start: (files, flags) =>
    Effect.flatMap(
      load(() => import("./commands/start.ts")),
      ({ start }) => start(files, flags, terminal),
    ),

  demo: (flags) =>
    Effect.flatMap(developmentOnly("demo"), ({ run }) => run(flags as never, terminal)),
  bench: (flags) =>
    Effect.flatMap(developmentOnly("bench"), ({ run }) => run(flags as never, terminal)),

  publish: (topic, file, flags) =>
    withGateway(flags, async (client) => {
      const { publish } = await import("./commands/publish.ts");
      const { UuidV7 } = await import("../../gateway/ingest/uuid-v7.ts");
      const ids = new UuidV7();
      // Made here and not by the gateway: an event that is sent again keeps its id.
      const makeId = () => ids.make(Date.now());
      return publish(
        { topic, file, type: flags.type, json: flags.json === true },
        { client, terminal, makeId, sleep: wait, stdin: process.stdin },
      );
    }),

  tail: (name, flags) =>
    name === "dlq"
      ? Effect.gen(function* () {
          const { tailDeadLetters } = yield* load(() => import("./commands/tail-dead-letters.ts"));
          const { payloadReaders } = yield* load(() => import("./payload-readers.ts"));
          const readerOf = yield* payloadReaders(flags);
          return yield* withNats(flags, (link) =>
            tailDeadLetters(
              {
                fromStart: flags.fromStart === true,
                keyPrefix: flags.key,
                limit: flags.limit,
                json: flags.json === true,
              },
              link,
              readerOf,
              terminal,
            ),
          );
        })
      : withGateway(flags, async (client, signal) => {
          const { tail } = await import("./commands/tail.ts");
          return tail(
            {
              projection: name,
              keyPrefix: flags.key,
              fromStart: flags.fromStart === true,
              json: flags.json === true,
              limit: flags.limit,
            },
            { client, terminal, sleep: wait, signal },
          );
        }),

  list: (projection, flags) =>
    withGateway(flags, async (client) => {
      const { list } = await import("./commands/list.ts");
      const { key, from, to, limit, json } = flags;
      return list(
        { projection, keyPrefix: key, from, to, limit, json: json === true },
        client,
        terminal,
      );
    }),

  get: (projection, key, flags) =>
    withGateway(flags, async (client) => {
      const { get } = await import("./commands/list.ts");
      return get(
        { projection, key, windowStart: flags.at, json: flags.json === true },
        client,
        terminal,
      );
    }),

  status: (flags) =>
    Effect.gen(function* () {
      const { showStatus } = yield* load(() => import("./commands/status.ts"));
      const plan = yield* surveyPlan(flags);
      const system = yield* attempt(() => findSystem(flags, process.env));
      return yield* withNats(flags, (link) =>
        showStatus(
          {
            link,
            plan,
            system,
            json: flags.json === true,
            watch: flags.watch === true,
            all: flags.all === true,
          },
          terminal,
        ),
      );
    }),

  doctor: (flags) =>
    Effect.gen(function* () {
      const { doctor } = yield* load(() => import("./commands/doctor.ts"));
      const plan = yield* surveyPlan(flags);
      const system = yield* attempt(() => findSystem(flags, process.env));
      return yield* doctor(
        { plan, system, redis: flags.redis, json: flags.json === true },
        terminal,
      );
    }),

  audit: (projection, flags) =>
    Effect.gen(function* () {
      const { audit } = yield* load(() => import("./commands/audit.ts"));
      const plan = yield* surveyPlan(flags);
      const { fast, json } = flags;
      return yield* withNats(flags, (link) =>
        audit({ plan, projection, fast: fast === true, json: json === true }, link, terminal),
      );
    }),

  replay: (projection, flags) =>
    Effect.flatMap(
      load(() => import("./commands/replay.ts")),
      ({ replay }) => replay(projection, flags, terminal),
    ),

  test: (cases, flags) =>
    attempt(async () => {
      const { testCases } = await import("./commands/test.ts");
      return testCases(
        cases,
        {
          cwd: process.cwd(),
          config: flags.config,
          once: flags.once === true,
          json: flags.json === true,
        },
        terminal,
      );
    }),

  schema: (name) =>
    attempt(async () => {
      const { schemaText } = await import("../../projections/json-schema/definition-schemas.ts");
      terminal.out.write(schemaText(name));
      return 0;
    }),
});
