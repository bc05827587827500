/**
 * The command line: names, options, help and examples. What a command does is in `commands/`, loaded
 * when it is called: `tidemark --help` must not wait for a database.
 */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import type { Effect } from "effect";
import type { SchemaName } from "../../projections/json-schema/definition-schemas.ts";
import type { AddressOptions } from "./running-system.ts";

/** A command at work; its value is the exit code. */
export type Run = Effect.Effect<number, unknown>;

/** What the commands do; the program only says how they are called. */
export interface Actions {
  readonly start: (files: readonly string[], options: StartFlags) => Run;
  readonly demo: (options: DemoFlags) => Run;
  readonly bench: (options: BenchFlags) => Run;
  readonly publish: (topic: string, file: string, options: PublishFlags) => Run;
  readonly tail: (name: string, options: TailFlags) => Run;
  readonly list: (projection: string, options: ListFlags) => Run;
  readonly get: (projection: string, key: string, options: GetFlags) => Run;
  readonly status: (options: StatusFlags) => Run;
  readonly doctor: (options: DoctorFlags) => Run;
  readonly audit: (projection: string | undefined, options: AuditFlags) => Run;
  readonly replay: (projection: string, options: ReplayFlags) => Run;
  readonly test: (cases: readonly string[], options: TestFlags) => Run;
  readonly schema: (name: SchemaName) => Run;
}

interface Json {
  readonly json?: true;
}

export interface ConfigFlags {
  readonly config?: string | undefined;
  readonly dataDir?: string | undefined;
}
export interface StartFlags extends ConfigFlags {
  readonly workers?: number;
  readonly port?: number;
  readonly metricsPort?: number;
}
export interface DemoFlags extends Json {
  readonly events?: number;
  readonly seed: number;
  readonly exit?: true;
  readonly fresh?: true;
  readonly dataDir?: string;
  readonly workers?: number;
}
export interface BenchFlags extends Json {
  readonly events: number;
  readonly seed: number;
  readonly workers?: number;
}
export interface PublishFlags extends AddressOptions, Json {
  readonly type?: string;
}
export interface TailFlags extends AddressOptions, Json {
  readonly key: string;
  readonly fromStart?: true;
  readonly limit?: number;
}
export interface ListFlags extends AddressOptions, Json {
  readonly key: string;
  readonly from?: number;
  readonly to?: number;
  readonly limit: number;
}
export interface GetFlags extends AddressOptions, Json {
  readonly at?: number;
}
export interface StatusFlags extends AddressOptions, ConfigFlags, Json {
  readonly watch?: true;
  readonly all?: true;
}
export interface DoctorFlags extends AddressOptions, ConfigFlags, Json {
  readonly redis?: string;
}
export interface AuditFlags extends AddressOptions, ConfigFlags, Json {
  readonly fast?: true;
}
export interface ReplayFlags extends AddressOptions, ConfigFlags, Json {
  readonly promote?: true;
  readonly force?: true;
}

export interface TestFlags extends ConfigFlags, Json {
  readonly once?: true;
}

export const parseCount = (text: string): number => {
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be a whole number of at least 1.");
  }
  return value;
};

const parseInteger = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError("It must be a whole number of at least 0.");
  }
  return value;
};

export const parseTime = (text: string): number => {
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  // A date without a zone would mean another moment on another machine.
  const zoned = /^\d{4}-\d{2}-\d{2}$/.test(text) || /(Z|[+-]\d{2}:?\d{2})$/i.test(text);
  const time = Date.parse(text.replace(" ", "T"));
  if (!zoned || Number.isNaN(time)) {
    throw new InvalidArgumentError(
      'It must be milliseconds since 1970, a date, or a time with its zone: "2001-01-01T08:00:00Z".',
    );
  }
  return time;
};

const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}\n`;

const withDataDir = (command: Command): Command =>
  command.option("--data-dir <folder>", "data folder of the running system (TIDEMARK_DATA_DIR)");

const withGateway = (command: Command): Command =>
  withDataDir(command.option("--gateway <host:port>", "gateway to talk to (TIDEMARK_GATEWAY)"));

const withNats = (command: Command): Command =>
  command.option("--nats <url>", "nats-server to talk to (TIDEMARK_NATS_URL)");

const withConfig = (command: Command): Command =>
  command.option("--config <file>", "configuration file (default: tidemark.config.ts)");

const withJson = (command: Command, what: string): Command => command.option("--json", what);

const seed = () =>
  new Option("--seed <number>", "seed of what is random").argParser(parseInteger).default(1);

export const makeProgram = (
  version: string,
  actions: Actions,
  run: (command: Run) => void,
): Command => {
  const program = new Command("tidemark")
    .description("Exact windowed results from streams of events, on NATS JetStream.")
    .version(version, "-V, --version", "print the version")
    .helpCommand(false)
    .showHelpAfterError("(see --help)")
    .addHelpText(
      "after",
      examples("tidemark start", "tidemark status --watch", "tidemark publish --help"),
    );

  withConfig(program.command("start"))
    .description("run the system: gateway, workers and, unless URLs are given, its own servers")
    .argument(
      "[files...]",
      "files of projections, or a configuration (default: those found by name)",
    )
    .option("--data-dir <folder>", "where data lives (default: .tidemark)")
    .option("--workers <count>", "worker processes (default: one a core)", parseCount)
    .option("--port <port>", "port of the gateway; 0 takes a free one", parseInteger)
    .option(
      "--metrics-port <port>",
      "port of the gateway's metrics, the first of a row; 0 takes free ones",
      parseInteger,
    )
    .addHelpText(
      "after",
      examples(
        "tidemark start",
        "tidemark start ./orders.projection.ts --workers 4",
        "tidemark start --port 0 --metrics-port 0 --data-dir /var/lib/tidemark",
        "TIDEMARK_NATS_URL=nats://10.0.0.5:4222 tidemark start",
      ),
    )
    .action((files: string[], options: StartFlags) => run(actions.start(files, options)));

  withJson(program.command("demo"), "print one line with the summary on stdout, all else on stderr")
    .description("send three million real flights through the system and check every result")
    .option("--events <count>", "send only the first so many flights", parseCount)
    .addOption(seed())
    .option("--exit", "end after the check; the exit code is 0 only if all is right")
    .option("--fresh", "begin with an empty data folder")
    .option("--data-dir <folder>", "where data lives (default: .tidemark/demo)")
    .option("--workers <count>", "worker processes (default: one a core)", parseCount)
    .addHelpText(
      "after",
      examples(
        "tidemark demo",
        "tidemark demo --events 20000 --exit",
        "tidemark demo --exit --json",
      ),
    )
    .action((options: DemoFlags) => run(actions.demo(options)));

  withJson(program.command("bench"), "print the figures as one line of JSON")
    .description(
      "measure throughput, latency and replay on this machine, each with its result checked",
    )
    .option("--events <count>", "events of the throughput run", parseCount, 1_000_000)
    .addOption(seed())
    .option("--workers <count>", "worker processes (default: one a core)", parseCount)
    .addHelpText("after", examples("tidemark bench", "tidemark bench --events 5000000 --json"))
    .action((options: BenchFlags) => run(actions.bench(options)));

  withJson(withGateway(program.command("publish")), "print the counts as one line of JSON")
    .description("send events, one JSON object a line, from a file or stdin")
    .argument("<topic>", "topic to send to")
    .argument("[file]", "file of JSON lines, or - for stdin", "-")
    .option("--type <name>", "type of lines that name none, such as orders.Paid")
    .addHelpText(
      "after",
      `
A line: {"id": "...", "type": "...", "key": "...", "time": "2001-01-01T00:05:00Z", "data": {...}}
"id" and "type" may be left out. The exit code is 1 if any line was rejected; the others are stored.
An id that the log has already is stored again and counts once; \`tidemark status\` shows such duplicates.
${examples(
  "tidemark publish orders orders.jsonl --type orders.Paid",
  `echo '{"key": "o1", "time": "2025-01-01T12:00:00Z", "data": {"amount": 5}}' | tidemark publish orders --type orders.Paid`,
  "generate-events | tidemark publish orders --json",
)}`,
    )
    .action((topic: string, file: string, options: PublishFlags) =>
      run(actions.publish(topic, file, options)),
    );

  withJson(withNats(withGateway(program.command("tail"))), "print JSON, one object a line")
    .description("follow the updates of a projection, or the dead letters")
    .argument("<projection|dlq>", 'projection to follow, or "dlq" for dead letters')
    .option("--from-start", "begin with what is there, not with what comes")
    .option("--key <prefix>", "only keys that begin so", "")
    .option("--limit <count>", "end after so many lines", parseCount)
    .addHelpText(
      "after",
      examples(
        "tidemark tail departures-by-origin",
        "tidemark tail departures-by-origin --from-start --key ORD --json",
        "tidemark tail dlq --from-start",
      ),
    )
    .action((name: string, options: TailFlags) => run(actions.tail(name, options)));

  withJson(withGateway(program.command("list")), "print JSON, one object a line")
    .description("list the results of a projection, by key and window")
    .argument("<projection>")
    .option("--key <prefix>", "only keys that begin so", "")
    .option("--from <time>", "windows that start at or after", parseTime)
    .option("--to <time>", "windows that start before", parseTime)
    .option("--limit <count>", "at most so many", parseCount, 50)
    .addHelpText(
      "after",
      examples(
        "tidemark list departures-by-origin --key ORD",
        "tidemark list departures-by-destination --from 2001-03-01 --to 2001-03-02 --limit 300",
      ),
    )
    .action((projection: string, options: ListFlags) => run(actions.list(projection, options)));

  withJson(withGateway(program.command("get")), "print JSON")
    .description("print one result")
    .argument("<projection>")
    .argument("<key>")
    .option("--at <time>", "start of the window (default: the latest window)", parseTime)
    .addHelpText(
      "after",
      examples(
        "tidemark get departures-by-origin ORD",
        "tidemark get departures-by-origin ORD --at 2001-01-01T08:00:00Z --json",
      ),
    )
    .action((projection: string, key: string, options: GetFlags) =>
      run(actions.get(projection, key, options)),
    );

  withJson(withConfig(withNats(withGateway(program.command("status")))), "print JSON")
    .description("show topics, partitions, lag, watermarks and dead letters")
    .option("--watch", "show it again every second")
    .option("--all", "also versions of projections that are not the active ones")
    .addHelpText(
      "after",
      examples("tidemark status", "tidemark status --watch", "tidemark status --all --json"),
    )
    .action((options: StatusFlags) => run(actions.status(options)));

  withJson(withConfig(withNats(withGateway(program.command("doctor")))), "print JSON")
    .description("check servers, durability and stream settings; exit code 1 if anything is wrong")
    .option("--redis <url>", "redis-server to check (TIDEMARK_REDIS_URL)")
    .addHelpText(
      "after",
      examples("tidemark doctor", "tidemark doctor --nats nats://10.0.0.5:4222 --json"),
    )
    .action((options: DoctorFlags) => run(actions.doctor(options)));

  withJson(withConfig(withNats(withDataDir(program.command("audit")))), "print JSON")
    .description(
      "count the events of the log and hold the books of each projection against them; exit code 1 if any is off",
    )
    .argument("[projection]", "only this one (default: all)")
    .option("--fast", "do not read the log: only see that the books add up")
    .addHelpText(
      "after",
      `
In the log = counted + filtered + late + duplicate + future + invalid + poison, for each projection and
partition, up to what is committed. Of a log whose head retention has cut, what is left is audited.
${examples("tidemark audit", "tidemark audit departures-by-origin", "tidemark audit --fast --json")}`,
    )
    .action((projection: string | undefined, options: AuditFlags) =>
      run(actions.audit(projection, options)),
    );

  withJson(
    withConfig(withNats(withGateway(program.command("replay")))),
    "print the summary as JSON",
  )
    .description(
      "rebuild a projection from the first event of the log and compare it with the live one",
    )
    .argument("<projection>")
    .option("--promote", "make the rebuilt version the active one, if its results are the same")
    .option("--force", "with --promote: also if they differ")
    .addHelpText(
      "after",
      examples(
        "tidemark replay departures-by-origin",
        "tidemark replay departures-by-origin --promote",
        "tidemark replay departures-by-origin --promote --force --json",
      ),
    )
    .action((projection: string, options: ReplayFlags) => run(actions.replay(projection, options)));

  withJson(withConfig(program.command("test")), "print JSON, one object a case")
    .description("run case files: a projection on virtual time, without servers")
    .argument("<cases...>", "case files in YAML or JSON, folders of them, or patterns")
    .option("--once", "as written only; not also regrouped and restarted at every step")
    .addHelpText(
      "after",
      `
A case says events and what must come of them; docs/TESTKIT.md begins with one. The exit code is 1 if
any case fails.
${examples(
  "tidemark test cases/",
  "tidemark test revenue.yaml --once",
  "tidemark test 'cases/**/*late*.yaml' --json",
)}`,
    )
    .action((cases: string[], options: TestFlags) => run(actions.test(cases, options)));

  program
    .command("schema")
    .description("print the JSON Schema of definitions that are written as JSON")
    .addArgument(
      new Argument("[definition]", "of what")
        .choices(["projection", "topic"])
        .default("projection"),
    )
    .addHelpText(
      "after",
      examples("tidemark schema > projection.schema.json", "tidemark schema topic"),
    )
    .action((name: SchemaName) => run(actions.schema(name)));

  return program;
};
