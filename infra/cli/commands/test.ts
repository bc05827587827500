/**
 * `tidemark test`: runs case files and says which pass; of those that do not, what was expected and what
 * came, side by side.
 */
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import {
  CaseError,
  parseCase,
  renderFailures,
  runContent,
  type CaseFile,
  type CaseResult,
  type FindProjection,
} from "../../../actors/testkit/index.ts";
import { sourceNames } from "../../../projections/definition/join-sources.ts";
import { tablesOf, topicsOf } from "../../../projections/definition/make-definition.ts";
import { loadConfig } from "../../config/load.ts";
import { exampleProjections } from "../../config/shipped.ts";
import { findCaseFiles } from "../case-files.ts";
import { EXIT_FAILED } from "../cli-error.ts";
import { counted, duration } from "../terminal/format.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface TestOptions {
  readonly cwd: string;
  readonly config: string | undefined;
  readonly once: boolean;
  readonly json: boolean;
}

interface Outcome {
  readonly label: string;
  readonly file: CaseFile | undefined;
  readonly result: CaseResult | undefined;
  /** Why the case could not be run. */
  readonly error: CaseError | undefined;
  readonly tookMs: number;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Paths of .proto files are relative to the case. */
const withAbsoluteSchemas = (content: unknown, folder: string): unknown => {
  if (!isRecord(content)) return content;
  const ofTopic = (topic: unknown): unknown => {
    const schemas = isRecord(topic) ? topic["schemas"] : undefined;
    if (!Array.isArray(schemas)) return topic;
    const absolute = schemas.map((path: unknown) =>
      typeof path === "string" ? resolve(folder, path) : path,
    );
    return { ...(topic as object), schemas: absolute };
  };
  const { topic, topics } = content;
  const several = isRecord(topics)
    ? Object.fromEntries(Object.entries(topics).map(([name, each]) => [name, ofTopic(each)]))
    : topics;
  return {
    ...content,
    ...(topic === undefined ? {} : { topic: ofTopic(topic) }),
    ...(topics === undefined ? {} : { topics: several }),
  };
};

/** The project's own projections, and the shipped ones. */
const projectionsOf = async (options: TestOptions): Promise<FindProjection> => {
  const { projections, topics } = await loadConfig({ cwd: options.cwd, config: options.config });
  const find = (name: string) => {
    const definition = projections.find((each) => each.name === name);
    if (definition !== undefined) {
      const names = new Set([definition.topic, ...sourceNames(definition, projections)]);
      return {
        definition,
        tables: projections,
        topics: [...names].flatMap((name) => topics.find((topic) => topic.name === name) ?? []),
      };
    }
    const shipped = exampleProjections.find((each) => each.name === name);
    return (
      shipped && {
        definition: shipped,
        topics: topicsOf(shipped),
        tables: tablesOf(shipped),
      }
    );
  };
  const names = [...projections, ...exampleProjections].map(({ name }) => name);
  return Object.assign(find, { names: [...new Set(names)] });
};

const namesProjection = (content: unknown): boolean =>
  isRecord(content) && typeof content["projection"] === "string";

const labelOf = (path: string, cwd: string): string => {
  const short = relative(cwd, path);
  return short.startsWith("..") ? path : short;
};

const runFile = async (
  path: string,
  options: TestOptions,
  find: () => Promise<FindProjection>,
): Promise<Outcome> => {
  const label = labelOf(path, options.cwd);
  const text = await readFile(path, "utf8");
  const startedAt = performance.now();
  let file: CaseFile | undefined;
  try {
    file = parseCase(text);
    const content = withAbsoluteSchemas(file.content, dirname(path));
    const result = runContent(content, {
      once: options.once,
      lineOf: file.lineOf,
      ...(namesProjection(content) ? { find: await find() } : {}),
    });
    return { label, file, result, error: undefined, tookMs: performance.now() - startedAt };
  } catch (error) {
    if (!(error instanceof CaseError)) throw error;
    return { label, file, result: undefined, error, tookMs: performance.now() - startedAt };
  }
};

const toJson = ({ label, result, error, tookMs }: Outcome): string =>
  JSON.stringify({
    case: label,
    passed: result?.passed === true,
    ...(result === undefined
      ? {}
      : {
          events: result.events,
          updates: result.updates,
          deadLetters: result.deadLetters,
          runs: result.runs,
        }),
    tookMs: Math.round(tookMs * 10) / 10,
    // Programs get every row whole.
    failures: (result?.failures ?? []).map((failure) => ({
      ...failure,
      rows: failure.rows.map((row) => ({ ...row, brief: undefined })),
    })),
    mistakes: error?.mistakes ?? [],
  });

const indent = (text: string): string =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => `  ${line}\n`)
    .join("");

const report = (outcome: Outcome, width: number, { out }: Terminal): void => {
  const { label, result, error, file } = outcome;
  const padded = label.padEnd(width);
  if (result?.passed === true) {
    const events = counted(result.events, "event").padStart(11);
    const updates = counted(result.updates, "update").padStart(12);
    out.write(`${out.paint("green", "passed")}  ${padded}  ${events}  ${updates}\n`);
    return;
  }
  out.write(`${out.paint("red", "failed")}  ${label}\n`);
  const why =
    error?.message ??
    renderFailures(result ?? { failures: [] }, { lineOf: file?.lineOf, paint: out.paint });
  out.write(indent(why));
};

export const testCases = async (
  names: readonly string[],
  options: TestOptions,
  terminal: Terminal,
): Promise<number> => {
  const paths = findCaseFiles(names, options.cwd);
  let projections: Promise<FindProjection> | undefined;
  const find = () => (projections ??= projectionsOf(options));
  const width = Math.max(...paths.map((path) => labelOf(path, options.cwd).length));
  const outcomes: Outcome[] = [];
  for (const path of paths) {
    const outcome = await runFile(path, options, find);
    outcomes.push(outcome);
    if (options.json) terminal.out.write(`${toJson(outcome)}\n`);
    else report(outcome, width, terminal);
  }
  const failed = outcomes.filter(({ result }) => result?.passed !== true).length;
  if (!options.json) {
    const tookMs = outcomes.reduce((total, outcome) => total + outcome.tookMs, 0);
    const verdict = failed === 0 ? "all passed" : `${failed} failed`;
    const { paint } = terminal.out;
    terminal.out.write(
      `\n${counted(outcomes.length, "case")}, ${paint(failed === 0 ? "green" : "red", verdict)}, ${duration(tookMs)}\n`,
    );
  }
  return failed === 0 ? 0 : EXIT_FAILED;
};
