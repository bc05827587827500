/**
 * `tidemark doctor`: looks at everything that a system stands on and says what is not as it should
 * be, and what to do about it. It changes nothing.
 */
import { Effect } from "effect";
import {
  DLQ_STREAM,
  PROJECTIONS_STREAM,
  RESULTS_STREAM,
  eventsStream,
} from "../../../proto/subjects.ts";
import { rebuildWarning } from "../../../projections/definition/rebuild.ts";
import { withCode } from "../../config/code-modules.ts";
import type { Config } from "../../config/config.ts";
import { connect } from "../../nats/connection.ts";
import type { StreamInfo } from "../../nats/jetstream-api.ts";
import type { Link } from "../../nats/link.ts";
import { loadPlans } from "../../processes/plans.ts";
import { inspectNats, inspectRedis, requireNats, requireRedis } from "../../servers/inspect.ts";
import { describeProblems } from "../../telemetry/health.ts";
import { askHealth, type ProcessHealth } from "../process-health.ts";
import { GatewayClient } from "../gateway-client.ts";
import { EXIT_FAILED } from "../cli-error.ts";
import { nothingRuns, type SystemAddress } from "../running-system.ts";
import { survey, type SurveyPlan } from "../survey.ts";
import { duration } from "../terminal/format.ts";
import type { Paint } from "../terminal/colour.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface Finding {
  readonly about: string;
  readonly verdict: "good" | "note" | "bad";
  readonly text: string;
}

/** Of projections that hold functions a running system's file knows just where they are: `code`. */
type DefinitionsPlan = SurveyPlan & Pick<Config, "code">;

export interface DoctorOptions {
  readonly plan: DefinitionsPlan;
  readonly system: SystemAddress;
  readonly redis: string | undefined;
  readonly json: boolean;
}

const good = (about: string, text: string): Finding => ({ about, verdict: "good", text });
const note = (about: string, text: string): Finding => ({ about, verdict: "note", text });
const bad = (about: string, text: string): Finding => ({ about, verdict: "bad", text });

/** A failed check is a finding, not the end of the examination. */
const found = (
  about: string,
  check: Effect.Effect<readonly Finding[], Error>,
): Effect.Effect<readonly Finding[]> =>
  check.pipe(Effect.catch((error) => Effect.succeed([bad(about, error.message)])));

const checkNats = (url: string, monitorUrl: string | undefined) =>
  found(
    "nats-server",
    Effect.gen(function* () {
      const inspection = yield* inspectNats(url, monitorUrl);
      const notices = yield* requireNats(inspection, { requireFsync: false });
      const { version, sync } = inspection;
      return [
        good("nats-server", `version ${version} at ${inspection.url}, with JetStream`),
        ...(sync === "always"
          ? [good("durability", "it syncs to disk before it acknowledges (sync_interval: always)")]
          : notices.map((notice) => bad("durability", notice))),
      ];
    }),
  );

const checkRedis = (url: string) =>
  found(
    "redis-server",
    Effect.gen(function* () {
      const inspection = yield* inspectRedis(url);
      const notices = yield* requireRedis(inspection);
      return [
        good("redis-server", `version ${inspection.version} at ${inspection.url}`),
        ...notices.map((notice) => note("redis-server", notice)),
      ];
    }),
  );

/** What is wrong with the settings of a stream that exists. */
export const streamMistakes = (
  config: StreamInfo["config"],
  wanted: { readonly maxAgeMs: number; readonly maxBytes: number | undefined },
): readonly string[] => {
  const mistakes: string[] = [];
  const { storage, discard, retention, max_age: maxAge, max_bytes: maxBytes } = config;
  if (String(storage) !== "file") mistakes.push(`storage is ${storage}, not file`);
  // Anything else deletes the oldest events when the disk is full, without a word.
  if (String(discard) !== "new") mistakes.push(`discard is ${discard}, not new`);
  if (String(retention) !== "limits") mistakes.push(`retention is ${retention}, not limits`);
  if (maxAge !== wanted.maxAgeMs * 1e6) {
    const shown = (ms: number) => (ms === 0 ? "none" : duration(ms));
    mistakes.push(`max_age is ${shown(maxAge / 1e6)}, not ${shown(wanted.maxAgeMs)}`);
  }
  if (wanted.maxBytes !== undefined && maxBytes !== wanted.maxBytes) {
    mistakes.push(`max_bytes is ${maxBytes}, not ${wanted.maxBytes}`);
  }
  return mistakes;
};

const checkStreams = (link: Link, plan: SurveyPlan) =>
  found(
    "streams",
    Effect.gen(function* () {
      const { streams } = yield* survey(link, plan);
      const byName = new Map(streams.map(({ config }) => [config.name, config]));
      const examine = (names: readonly string[], wanted: Parameters<typeof streamMistakes>[1]) =>
        names.flatMap((name) => {
          const config = byName.get(name);
          const mistakes =
            config === undefined ? ["it does not exist"] : streamMistakes(config, wanted);
          return mistakes.map((mistake) =>
            bad(`stream ${name}`, `${mistake}; \`tidemark start\` provisions it`),
          );
        });
      const shared = [RESULTS_STREAM, PROJECTIONS_STREAM, DLQ_STREAM];
      const findings = [
        ...examine(shared, { maxAgeMs: 0, maxBytes: undefined }),
        ...plan.topics.flatMap(({ name, partitions, retentionMs, maxBytes, compacted }) =>
          examine(
            Array.from({ length: partitions }, (_, partition) => eventsStream(name, partition)),
            { maxAgeMs: compacted === true ? 0 : retentionMs, maxBytes },
          ),
        ),
      ];
      if (findings.length > 0) return findings;
      return [good("streams", `${byName.size} streams with the settings that they must have`)];
    }),
  );

/** Whether a worker that starts now could plan them; and what the log alone could not give again. */
export const checkDefinitions = (plan: DefinitionsPlan) =>
  found(
    "projections",
    Effect.map(Effect.flatMap(loadCode(plan), loadPlans), ({ projections }) =>
      projections.flatMap((projection) => {
        const warning = rebuildWarning(projection);
        return warning === undefined
          ? []
          : [note(`projection ${projection.definition.name}`, warning)];
      }),
    ),
  );

const loadCode = (plan: DefinitionsPlan): Effect.Effect<DefinitionsPlan, Error> =>
  Effect.tryPromise({
    try: () => withCode(plan),
    catch: (error) => (error instanceof Error ? error : new Error(String(error))),
  });

const checkGateway = (address: string) =>
  found(
    "gateway",
    Effect.acquireUseRelease(
      Effect.sync(() => new GatewayClient(address)),
      (client) =>
        Effect.tryPromise({
          try: () => client.listProjections(),
          catch: (error) => (error instanceof Error ? error : new Error(String(error))),
        }),
      (client) => Effect.sync(() => client.close()),
    ).pipe(
      Effect.map((projections) => [
        good("gateway", `answers at ${address}`),
        ...projections
          .filter(({ incomplete }) => incomplete)
          .map(({ projection, version }) =>
            bad(
              `projection ${projection}`,
              `results of version ${version} may be missing here: commits had left RESULTS before ` +
                "this gateway read them; rebuild it with `tidemark replay`",
            ),
          ),
      ]),
    ),
  );

const healthFindings = ({ name, problems }: ProcessHealth): readonly Finding[] =>
  problems.length === 0
    ? [good(name, "is healthy")]
    : describeProblems(problems).map((text) => bad(name, text));

export const examine = ({ plan, system, redis }: Omit<DoctorOptions, "json">) =>
  Effect.gen(function* () {
    const { run, nats, gateway } = system;
    if (nats === undefined) throw nothingRuns("--nats nats://host:port");
    const monitorUrl = run?.natsUrl === nats ? run.natsMonitorUrl : undefined;
    const findings: Finding[] = [...(yield* checkNats(nats, monitorUrl))];
    const redisUrl = redis ?? process.env["TIDEMARK_REDIS_URL"] ?? run?.redisUrl;
    if (redisUrl !== undefined) findings.push(...(yield* checkRedis(redisUrl)));
    findings.push(
      ...(yield* found(
        "streams",
        Effect.scoped(
          Effect.flatMap(
            connect({ url: nats, name: "tidemark-doctor", connectWithinMs: 3_000 }),
            (link) => checkStreams(link, plan),
          ),
        ),
      )),
    );
    findings.push(...(yield* checkDefinitions(plan)));
    if (gateway !== undefined) findings.push(...(yield* checkGateway(gateway)));
    findings.push(...(yield* askHealth(run)).flatMap(healthFindings));
    return findings;
  });

const MARKS = { good: ["✓", "green"], note: ["!", "yellow"], bad: ["✗", "red"] } as const;

export const renderFindings = (findings: readonly Finding[], paint: Paint): string => {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.map(({ about, verdict, text }) => {
    const [mark, style] = MARKS[verdict];
    return `${paint(style, mark)} ${about.padEnd(width)}  ${text}\n`;
  });
  return lines.join("");
};

export const doctor = ({ json, ...options }: DoctorOptions, { out }: Terminal) =>
  Effect.map(examine(options), (findings) => {
    out.write(json ? `${JSON.stringify(findings)}\n` : renderFindings(findings, out.paint));
    return findings.some(({ verdict }) => verdict === "bad") ? EXIT_FAILED : 0;
  });
