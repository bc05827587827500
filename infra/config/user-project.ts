/**
 * What a project's files define: its topics and projections, and the settings of its configuration
 * file. Gathers every mistake with the file that it is in.
 *
 * U1. A projection brings its topics along, and the projection that is its table. The same definition met
 *     twice is one; two that differ under one name are a mistake.
 */
import { existsSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { BASE_KEYS, checkProjection } from "../../projections/definition/check-projection.ts";
import { holdsCode } from "../../projections/definition/code.ts";
import { checkTopic } from "../../projections/definition/check-topic.ts";
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";
import { nearest, suggestion } from "../../projections/definition/did-you-mean.ts";
import { canonicalJson, writtenDigest } from "../../projections/definition/digest.ts";
import { KINDS } from "../../projections/definition/kinds.ts";
import { resolveLookupFiles } from "../../projections/definition/lookup-files.ts";
import { namedTopics, sourceNames, tableOf } from "../../projections/definition/join-sources.ts";
import { tablesOf, topicsOf } from "../../projections/definition/make-definition.ts";
import { at, Mistakes, type Fields } from "../../projections/definition/reading.ts";
import { SHIPPED_MODULE, type CodeOrigin } from "./config.ts";
import { isProjectionData, type ProjectionFile } from "./discover.ts";
import { SETTINGS } from "./settings.ts";
import { importUserModule } from "./user-module.ts";

/** A configuration file as it was written. */
export interface ConfigFile {
  readonly path: string;
  /** How mistakes call it. */
  readonly label: string;
  readonly content: Fields;
}

const NO_CONFIG: ConfigFile = { path: "", label: "", content: {} };

/** A path of a file, or of a place in it: `a.json: topic`, `a.ts: default.topic`. */
const within = (label: string, path: string): string =>
  label.includes(": ") ? `${label}.${path}` : `${label}: ${path}`;

/** What to do about a mistake, after the mistake. */
const advised = (message: string, advice: string): string =>
  `${message}${message.endsWith("?") ? "" : "."} ${advice}`;

interface Found<T> {
  readonly definition: T;
  readonly label: string;
  /** From a file that cannot give a topic itself. */
  readonly isData?: boolean;
}

const WHERE_TABLES_ARE =
  "Name the file that defines it too, or put both into the projections of tidemark.config.json";

const WHERE_TOPICS_ARE =
  "Define it in the topics of tidemark.config.json, or name a file with a projection that reads it";

/** From a module's exports to a value in them. */
type Place = CodeOrigin["place"];

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const isProjection = (value: unknown): value is ProjectionDefinition =>
  isObject(value) &&
  (topicsOf(value as ProjectionDefinition).length > 0 ||
    "aggregates" in value ||
    ("kind" in value && Object.hasOwn(KINDS, String(value.kind))));

const CONFIG_KEYS: readonly string[] = [
  "topics",
  "projections",
  ...Object.keys(SETTINGS).map((key) => key.split(".")[0]!),
];
const PROJECTION_KEYS: readonly string[] = [
  ...new Set([...BASE_KEYS, "kind", ...Object.values(KINDS).flatMap(({ keys }) => keys)]),
];
/** What topics and other data have as well. */
const COMMON_KEYS = ["name", "description", "topic", "types", "version"];
const OWN_KEYS = PROJECTION_KEYS.filter((key) => !COMMON_KEYS.includes(key));

/** Of a topic, which stands beside projections and may be exported with them. */
const isTopic = (value: object): boolean => "schemas" in value;

/** Whether it was meant as one, though something in it is wrong: some keys are those of projections, or near them. */
const isMeantAsProjection = (value: unknown): value is object => {
  if (!isObject(value) || Array.isArray(value) || isTopic(value)) return false;
  const keys = Object.keys(value);
  const near = (known: readonly string[]) =>
    keys.filter((key) => nearest(key, known) !== undefined).length;
  return near(OWN_KEYS) > 0 && near(PROJECTION_KEYS) > near(CONFIG_KEYS);
};

/** What went wrong in a file of the user's, with the line where that is known. */
export const explainImport = (error: unknown, path: string): string => {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const line = error.stack
    ?.split("\n")
    .map((frame) => frame.slice(frame.indexOf(path) + path.length))
    .map((rest) => /^(?:\?[^:]*)?:(\d+)(?::\d+)?\)?$/.exec(rest)?.[1])
    .find((found) => found !== undefined);
  const where = line === undefined ? "" : `line ${line}: `;
  if (error.name === "DefinitionError" || error.name === "SchemaError")
    return where + error.message;
  return `cannot be loaded: ${where}${error.message}`;
};

export class UserProject {
  readonly #mistakes: Mistakes;
  readonly #cwd: string;
  readonly #topics = new Map<string, Found<TopicDefinition>>();
  readonly #projections = new Map<string, Found<ProjectionDefinition>>();
  readonly #code = new Map<string, CodeOrigin>();
  #config: ConfigFile | undefined;

  constructor(cwd: string, mistakes: Mistakes) {
    this.#cwd = cwd;
    this.#mistakes = mistakes;
  }

  get config(): ConfigFile | undefined {
    return this.#config;
  }

  get topics(): readonly TopicDefinition[] {
    return [...this.#topics.values()].map((found) => found.definition);
  }

  get projections(): readonly ProjectionDefinition[] {
    return [...this.#projections.values()].map((found) => found.definition);
  }

  /** Where the projections that hold functions are found again, by name. */
  get code(): Readonly<Record<string, CodeOrigin>> {
    return Object.fromEntries(this.#code);
  }

  /** A file that the user named: a configuration, or projections. */
  async load(path: string): Promise<void> {
    const absolute = resolve(this.#cwd, path);
    const exported = await this.#import(absolute);
    if (exported === undefined) return;
    if (isProjectionData(absolute)) return this.#takeData(absolute, exported["default"]);
    const main = exported["default"];
    const isOther = isObject(main) && !isProjection(main) && !Array.isArray(main);
    if (isOther && !isMeantAsProjection(main)) {
      return this.#takeConfig(absolute, main as Fields);
    }
    const isMeant = (name: string, value: unknown) =>
      isMeantAsProjection(value) && (name === "default" || "name" in value);
    if (this.#takeProjections(absolute, exported, isMeant) === 0) {
      this.#mistakes.add(
        this.#label(absolute),
        "exports no projection and no configuration: begin it with " +
          '"export default projection(...)" or "export default defineConfig(...)"',
      );
    }
  }

  /** A file found by its name. */
  async loadDiscovered({ path, promised }: ProjectionFile): Promise<void> {
    if (promised) return this.load(path);
    const exported = await this.#import(path);
    // Modules of all kinds stand beside projections.
    if (exported !== undefined) this.#takeProjections(path, exported, () => false);
  }

  /** Definitions that are in no file: the shipped ones. */
  add(definitions: readonly ProjectionDefinition[]): void {
    definitions.forEach((definition, index) =>
      this.#takeProjection(definition, definition.name, SHIPPED_MODULE, [index]),
    );
  }

  /** Topics and projections of the configuration file. */
  addConfigured(): void {
    if (this.#config === undefined) return;
    const { content, label, path } = this.#config;
    const list = (key: "topics" | "projections"): readonly unknown[] =>
      content[key] === undefined
        ? []
        : (this.#mistakes.items(content[key], `${label}: ${key}`) ?? []);
    list("topics").forEach((topic, index) =>
      this.#takeTopic(topic, `${label}: ${at("topics", index)}`, dirname(path)),
    );
    list("projections").forEach((projection, index) =>
      this.#takeProjection(projection, `${label}: ${at("projections", index)}`, path, [
        "default",
        "projections",
        index,
      ]),
    );
  }

  /**
   * Topics that projections written as data name, and that no file gave yet: of the configuration, then
   * of the projections in `files`. What is wrong with those files matters only if a topic stays unknown.
   */
  async findTopics(files: readonly ProjectionFile[]): Promise<void> {
    const { content, label, path } = this.#config ?? NO_CONFIG;
    const configured = content["topics"];
    for (const topic of Array.isArray(configured) ? (configured as readonly unknown[]) : []) {
      if (isObject(topic) && this.#missing().has((topic as { name?: unknown }).name)) {
        this.#takeTopic(topic, `${label}: topics`, dirname(path));
      }
    }
    const failures = new Mistakes();
    for (const file of files) {
      if (this.#missing().size === 0) return;
      if (isProjectionData(file.path)) continue;
      try {
        this.#takeMissingTopics(file.path, await importUserModule(file.path));
      } catch (error) {
        failures.add(this.#label(file.path), explainImport(error, file.path));
      }
    }
    if (this.#missing().size === 0) return;
    for (const { path, message } of failures.list) this.#mistakes.add(path, message);
  }

  #missing(): ReadonlySet<unknown> {
    const named = [...this.#projections.values()].flatMap(({ definition }) => [
      definition.topic,
      ...sourceNames(definition, this.projections),
    ]);
    return new Set(named.filter((topic) => !this.#topics.has(topic)));
  }

  #takeMissingTopics(path: string, exported: Fields): void {
    const missing = this.#missing();
    for (const value of Object.values(exported).flat()) {
      if (!isProjection(value)) continue;
      for (const topic of topicsOf(value)) {
        if (missing.has(topic.name)) this.#takeTopic(topic, this.#label(path), dirname(path));
      }
    }
  }

  /**
   * To be called at the end: a projection that came as data names a topic, and a projection as its table, that
   * someone gave.
   */
  checkSources(): void {
    for (const { definition, label, isData } of this.#projections.values()) {
      this.#checkTable(definition, label, isData === true);
      const told = new Set<string>();
      for (const { path, topic } of namedTopics(definition, this.projections)) {
        if (this.#topics.has(topic) || told.has(topic)) continue;
        told.add(topic);
        const none =
          `there is no topic ${JSON.stringify(topic)}` +
          suggestion(topic, this.#topics.keys(), "topics");
        const message = isData === true ? advised(none, WHERE_TOPICS_ARE) : none;
        this.#mistakes.add(within(label, path), message);
      }
    }
  }

  #checkTable(definition: ProjectionDefinition, label: string, isData: boolean): void {
    const name = tableOf(definition);
    if (name === undefined) return;
    const table = this.#projections.get(name);
    if (table === undefined) {
      const others = [...this.#projections.keys()].filter((each) => each !== definition.name);
      const none =
        `there is no projection ${JSON.stringify(name)}` + suggestion(name, others, "projections");
      const message = isData ? advised(none, WHERE_TABLES_ARE) : none;
      this.#mistakes.add(within(label, "right.projection"), message);
    } else if (holdsCode(table.definition) && !this.#code.has(name)) {
      this.#mistakes.add(
        table.label,
        `projection ${JSON.stringify(name)} holds functions, which other processes import from its file: ` +
          "export it there, not only the join that it is the table of",
      );
    }
  }

  #label(path: string): string {
    const short = relative(this.#cwd, path);
    return short.startsWith("..") ? path : short;
  }

  async #import(path: string): Promise<Fields | undefined> {
    if (!existsSync(path)) return this.#mistakes.add(this.#label(path), "no such file");
    try {
      return await importUserModule(path);
    } catch (error) {
      return this.#mistakes.add(this.#label(path), explainImport(error, path));
    }
  }

  #takeConfig(path: string, content: Fields): void {
    const label = this.#label(path);
    if (this.#config !== undefined && this.#config.path !== path) {
      this.#mistakes.add(label, `is a second configuration file, besides ${this.#config.label}`);
      return;
    }
    this.#config = { path, label, content };
  }

  /** How many projections the file exports; `isMeant` says what else is taken for one, with its mistakes. */
  #takeProjections(
    path: string,
    exported: Fields,
    isMeant: (name: string, value: unknown) => boolean,
  ): number {
    const found = new Map<unknown, Place>();
    for (const [name, value] of Object.entries(exported)) {
      const values: readonly unknown[] = Array.isArray(value) ? value : [value];
      values.forEach((each, index) => {
        if (!(isProjection(each) || isMeant(name, each)) || found.has(each)) return;
        found.set(each, Array.isArray(value) ? [name, index] : [name]);
      });
    }
    for (const [definition, place] of found) {
      const [name, index] = place as readonly [string, number?];
      const shown = index === undefined ? name : at(name, index);
      this.#takeProjection(definition, `${this.#label(path)}: ${shown}`, path, place);
    }
    return found.size;
  }

  /** All of it must be projections: nothing else has such a name. */
  #takeData(path: string, content: unknown): void {
    const isList = Array.isArray(content);
    const values: readonly unknown[] = isList ? content : [content];
    if (values.length === 0) this.#mistakes.add(this.#label(path), "is an empty list");
    values.forEach((value, index) => {
      const label = isList ? `${this.#label(path)}: ${at("", index)}` : this.#label(path);
      this.#takeProjection(value, label, path, isList ? ["default", index] : ["default"]);
    });
  }

  #takeTopic(value: unknown, label: string, folder: string): void {
    const mistakes = new Mistakes();
    const topic = checkTopic(value, mistakes);
    this.#addAll(mistakes, label);
    if (topic === undefined || mistakes.list.length > 0) return;
    const definition = { ...topic, schemas: topic.schemas.map((path) => resolve(folder, path)) };
    this.#put(this.#topics, { definition, label }, "topics");
  }

  /** `module` and `place` say where it was found; without a place nobody else can find it there. */
  #takeProjection(value: unknown, label: string, module: string, place: Place | undefined): void {
    const mistakes = new Mistakes();
    const definition = checkProjection(value, mistakes, undefined)?.definition;
    this.#addAll(mistakes, label);
    if (definition === undefined || mistakes.list.length > 0) return;
    const folder = module === SHIPPED_MODULE ? "" : dirname(module);
    for (const topic of topicsOf(value as ProjectionDefinition)) {
      this.#takeTopic(topic, at(label, "source"), folder);
    }
    for (const table of tablesOf(value as ProjectionDefinition)) {
      this.#takeProjection(table, within(label, "right.source"), module, undefined);
    }
    const resolved = resolveLookupFiles(definition, folder);
    const isData = isProjectionData(module);
    this.#put(this.#projections, { definition: resolved, label, isData }, "projections");
    if (place === undefined || !holdsCode(resolved) || this.#code.has(resolved.name)) return;
    this.#code.set(resolved.name, { module, place, digest: writtenDigest(resolved) });
  }

  #put<T extends { readonly name: string }>(
    known: Map<string, Found<T>>,
    found: Found<T>,
    what: string,
  ): void {
    const { name } = found.definition;
    const other = known.get(name);
    if (other === undefined) known.set(name, found);
    else if (canonicalJson(other.definition) !== canonicalJson(found.definition)) {
      this.#mistakes.add(
        found.label,
        `two different ${what} are called ${JSON.stringify(name)}; the other is ${other.label}`,
      );
    }
  }

  #addAll(mistakes: Mistakes, label: string): void {
    for (const { path, message } of mistakes.list) {
      this.#mistakes.add(path === "" ? label : within(label, path), message);
    }
  }
}
