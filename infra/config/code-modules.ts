/**
 * Projections that hold functions, in the processes of a running system. Functions are lost in
 * `running-config.json`, so it names where each such projection was found, and every process imports it
 * from there.
 *
 * C1. What a process runs is what the system was started with: a definition that reads otherwise by
 *     now, functions included, is an error that says so. (What functions close over nobody can
 *     compare: K1 in `projections/definition/code.ts`.)
 */
import { checkProjection } from "../../projections/definition/check-projection.ts";
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { writtenDigest } from "../../projections/definition/digest.ts";
import { Mistakes } from "../../projections/definition/reading.ts";
import { SHIPPED_MODULE, type CodeOrigin, type Config } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { shippedProjections } from "./shipped.ts";
import { importUserModule } from "./user-module.ts";
import { explainImport } from "./user-project.ts";

const exportsOf = async (module: string, mistakes: Mistakes): Promise<unknown> => {
  if (module === SHIPPED_MODULE) return shippedProjections;
  try {
    return await importUserModule(module);
  } catch (error) {
    return mistakes.add(module, explainImport(error, module));
  }
};

const valueAt = (value: unknown, place: CodeOrigin["place"]): unknown =>
  place.reduce<unknown>(
    (inner, key) => (inner as Readonly<Record<string, unknown>> | undefined)?.[key],
    value,
  );

const definitionAt = (
  exported: unknown,
  name: string,
  { module, place, digest }: CodeOrigin,
  mistakes: Mistakes,
): ProjectionDefinition | undefined => {
  const checking = new Mistakes();
  const definition = checkProjection(valueAt(exported, place), checking, undefined)?.definition;
  const sound = definition !== undefined && checking.list.length === 0;
  if (sound && writtenDigest(definition) === digest) return definition;
  const now = sound ? "is not what it was" : "is no longer where it was";
  return mistakes.add(
    module,
    `projection ${JSON.stringify(name)} ${now} when the system was started; start it again`,
  );
};

/**
 * The configuration with the definitions that hold functions imported again. Rejects with a
 * {@link ConfigError}.
 */
export const withCode = async <C extends Pick<Config, "projections" | "code">>(
  config: C,
): Promise<C> => {
  const mistakes = new Mistakes();
  const modules = new Map<string, unknown>();
  for (const { module } of Object.values(config.code)) {
    if (!modules.has(module)) modules.set(module, await exportsOf(module, mistakes));
  }
  const projections = config.projections.map((written) => {
    const origin = config.code[written.name];
    const exported = origin && modules.get(origin.module);
    if (origin === undefined || exported === undefined) return written;
    return definitionAt(exported, written.name, origin, mistakes) ?? written;
  });
  if (mistakes.list.length > 0) throw new ConfigError({ mistakes: mistakes.list });
  return { ...config, projections };
};
