/**
 * Finds and reads the configuration: flags before the environment, before the file, before defaults.
 *
 * L1. The result is complete, or there is one error that names every wrong key, value and variable. It also
 *     names what planning finds wrong with the definitions that are right as far as they can be read alone,
 *     so that mistakes of several projections come at once.
 * L2. What runs: the files that were named; else the `projections` of the configuration file; else
 *     the files found by name; and only if there is nothing at all the shipped projections.
 * L3. A projection that was named and is data may read a topic of the configuration, or one that other
 *     files beside it or in the project's folder give: of those, nothing else runs.
 */
import { dirname, resolve } from "node:path";
import { nearest } from "../../projections/definition/did-you-mean.ts";
import { sourceNames, tableOf } from "../../projections/definition/join-sources.ts";
import { Mistakes, type Fields } from "../../projections/definition/reading.ts";
import type { Config } from "./config.ts";
import { findConfigFile, findProjectionFiles } from "./discover.ts";
import { ConfigError } from "./errors.ts";
import { planConfig } from "./plan.ts";
import {
  defaultOf,
  fromVariable,
  OTHER_VARIABLES,
  readSetting,
  SETTINGS,
  type SettingKey,
} from "./settings.ts";
import { shippedProjections } from "./shipped.ts";
import { UserProject } from "./user-project.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadOptions {
  /** The working folder. Default: that of the process. */
  readonly cwd?: string;
  /** Default: that of the process. */
  readonly environment?: Environment;
  /** `--config`: the configuration file; must exist. */
  readonly config?: string | undefined;
  /** Files named on the command line: projections, or a configuration. */
  readonly files?: readonly string[] | undefined;
  /** Flags: settings that go before all else. Undefined means not given. */
  readonly overrides?: Readonly<Partial<Record<SettingKey, unknown>>>;
}

const KEYS = Object.keys(SETTINGS) as readonly SettingKey[];

/** The environment's variables, as settings. Notes those that nobody reads. */
const variablesOf = (
  environment: Environment,
  mistakes: Mistakes,
): ReadonlyMap<SettingKey, string> => {
  const byVariable = new Map<string, SettingKey>(KEYS.map((key) => [SETTINGS[key].variable, key]));
  const found = new Map<SettingKey, string>();
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith("TIDEMARK_") || text === undefined || text === "") continue;
    const key = byVariable.get(name);
    if (key !== undefined) found.set(key, text);
    else if (!Object.hasOwn(OTHER_VARIABLES, name)) {
      const best = nearest(name, [...byVariable.keys(), ...Object.keys(OTHER_VARIABLES)]);
      const hint = best === undefined ? "" : ` Did you mean ${best}?`;
      mistakes.add(name, `unknown variable.${hint} Those that are read: docs/CONFIGURATION.md`);
    }
  }
  return found;
};

/** The file's settings by key. Notes unknown keys of every level. */
const settingsOf = (content: Fields, label: string, mistakes: Mistakes): Fields => {
  const nested = new Map<string, string[]>();
  for (const key of KEYS) {
    const [group, name] = key.split(".") as [string, string?];
    nested.set(group, [...(nested.get(group) ?? []), ...(name === undefined ? [] : [name])]);
  }
  const found: Record<string, unknown> = {};
  const known = ["topics", "projections", ...nested.keys()];
  const check = (value: unknown, path: string, names: readonly string[]): Fields | undefined => {
    const inner = new Mistakes();
    const fields = inner.object(value, path, names);
    for (const mistake of inner.list) {
      mistakes.add(mistake.path === "" ? label : `${label}: ${mistake.path}`, mistake.message);
    }
    return fields;
  };
  for (const [group, value] of Object.entries(check(content, "", known) ?? {})) {
    const names = nested.get(group);
    if (value === undefined || names === undefined) continue;
    if (names.length === 0) found[group] = value;
    else {
      const fields = check(value, group, names) ?? {};
      for (const [name, inner] of Object.entries(fields)) found[`${group}.${name}`] = inner;
    }
  }
  return found;
};

/** What goes wrong only together. */
const checkTogether = (config: Config, mistakes: Mistakes): void => {
  const { gateway, metrics } = config;
  if (gateway.maxEventBytes > gateway.maxRequestBytes) {
    mistakes.add(
      "gateway.maxRequestBytes",
      `is ${gateway.maxRequestBytes}, less than gateway.maxEventBytes, ${gateway.maxEventBytes}`,
    );
  }
  if (gateway.port !== 0 && gateway.port === metrics.port && gateway.host === metrics.host) {
    mistakes.add("metrics.port", `is ${metrics.port}, the port of the gateway`);
  }
  for (const server of ["nats", "redis"] as const) {
    if (config[server].port === 0 || config[server].url === undefined) continue;
    mistakes.add(
      `${server}.port`,
      `is for a server of Tidemark's own, but ${server}.url names another; leave one of them out`,
    );
  }
  if (config.nats.port !== 0 && config.nats.port === config.redis.port) {
    mistakes.add("redis.port", `is ${config.redis.port}, the port of NATS`);
  }
  if (config.projections.length === 0 && config.topics.length === 0) {
    mistakes.add("projections", "there is no projection and no topic: nothing to run");
  }
};

/** What is wrong with schemas and fields of the definitions that came through. */
const notePlanned = ({ topics, projections }: Config, mistakes: Mistakes): void => {
  const known = new Set(topics.map(({ name }) => name));
  const names = new Set(projections.map(({ name }) => name));
  const whole = projections.filter(
    (each) =>
      names.has(tableOf(each) ?? each.name) &&
      sourceNames(each, projections).every((name) => known.has(name)),
  );
  try {
    planConfig({ topics, projections: whole });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { path, message } of error.mistakes) mistakes.add(path, message);
  }
};

const loadProject = async (
  { config, files = [] }: LoadOptions,
  cwd: string,
  mistakes: Mistakes,
): Promise<UserProject> => {
  const project = new UserProject(cwd, mistakes);
  const before = mistakes.list.length;
  for (const file of files) await project.load(file);
  const configFile = config ?? (project.config === undefined ? findConfigFile(cwd) : undefined);
  if (configFile !== undefined) await project.load(configFile);
  const named = project.projections.length > 0;
  if (!named) project.addConfigured();
  const listed = project.config?.content["projections"] !== undefined;
  const loaded = mistakes.list.length === before;
  if (!named && !listed && loaded) await discover(project, cwd);
  if (named && loaded) {
    const folders = new Set([
      ...files.map((file) => dirname(resolve(cwd, file))),
      projectFolder(project, cwd),
    ]);
    await project.findTopics([...folders].flatMap(findProjectionFiles));
  }
  project.checkSources();
  return project;
};

const projectFolder = ({ config }: UserProject, cwd: string): string =>
  config === undefined ? cwd : dirname(config.path);

const discover = async (project: UserProject, cwd: string): Promise<void> => {
  const files = findProjectionFiles(projectFolder(project, cwd));
  for (const file of files) await project.loadDiscovered(file);
  if (project.projections.length === 0 && project.topics.length === 0) {
    project.add(shippedProjections);
  }
};

/** Rejects with a {@link ConfigError}. */
export const loadConfig = async (options: LoadOptions = {}): Promise<Config> => {
  const { cwd = process.cwd(), environment = process.env, overrides = {} } = options;
  const mistakes = new Mistakes();
  const variables = variablesOf(environment, mistakes);
  const fromEnvironment = environment["TIDEMARK_CONFIG"];
  const config = options.config ?? (fromEnvironment === "" ? undefined : fromEnvironment);
  const project = await loadProject({ ...options, config }, cwd, mistakes);
  const file = project.config;
  const written = file === undefined ? {} : settingsOf(file.content, file.label, mistakes);

  const read = <Key extends SettingKey>(key: Key) => {
    if (overrides[key] !== undefined) return readSetting(key, overrides[key], key, mistakes);
    const text = variables.get(key);
    if (text !== undefined) {
      return readSetting(key, fromVariable(key, text), SETTINGS[key].variable, mistakes);
    }
    if (written[key] !== undefined) {
      return readSetting(key, written[key], `${file?.label}: ${key}`, mistakes);
    }
    return defaultOf(key);
  };
  const inFile = overrides.dataDir === undefined && !variables.has("dataDir");
  const dataFolder = inFile && file !== undefined ? dirname(file.path) : cwd;

  const result: Config = {
    topics: project.topics,
    projections: project.projections,
    code: project.code,
    gateway: {
      host: read("gateway.host")!,
      port: read("gateway.port")!,
      reflection: read("gateway.reflection")!,
      maxEventBytes: read("gateway.maxEventBytes")!,
      maxBatchEvents: read("gateway.maxBatchEvents")!,
      maxRequestBytes: read("gateway.maxRequestBytes")!,
    },
    metrics: { host: read("metrics.host")!, port: read("metrics.port")! },
    workers: read("workers")!,
    nats: {
      url: read("nats.url"),
      port: read("nats.port")!,
      requireFsync: read("nats.requireFsync")!,
    },
    redis: { url: read("redis.url"), port: read("redis.port")! },
    dataDir: resolve(dataFolder, read("dataDir") ?? ""),
    snapshotEveryMs: read("snapshotEvery")!,
    compactEveryMs: read("compactEvery")!,
    retention: {
      resultsMs: read("retention.results")!,
      deadLettersMs: read("retention.deadLetters")!,
    },
    logLevel: read("logLevel")!,
  };
  if (mistakes.list.length === 0) checkTogether(result, mistakes);
  else notePlanned(result, mistakes);
  if (mistakes.list.length > 0) throw new ConfigError({ mistakes: mistakes.list });
  return result;
};
