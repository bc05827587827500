/**
 * What `/healthz` says: `{"status":"ok","process":...}` with code 200, or code 503 with `"unhealthy"` and
 * all that is wrong. The commands that ask for it read it with the same schema.
 */
import { Schema } from "effect";

const ProblemSchema = Schema.Struct({
  /** What it is about: "task results.revenue.1.0". */
  about: Schema.String,
  /** Of a task or a relay: "quarantined", "fenced". */
  state: Schema.optional(Schema.String),
  reason: Schema.String,
  /** What to do about it. */
  hint: Schema.optional(Schema.String),
});
export type Problem = typeof ProblemSchema.Type;

const HealthSchema = Schema.Struct({
  status: Schema.Literals(["ok", "unhealthy"]),
  process: Schema.String,
  problems: Schema.Array(ProblemSchema),
});
export type Health = typeof HealthSchema.Type;

export const healthOf = (process: string, problems: readonly Problem[]): Health => ({
  status: problems.length === 0 ? "ok" : "unhealthy",
  process,
  problems,
});

/** Undefined for a text that is no answer of ours. */
export const readHealth = (text: string): Health | undefined => {
  const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(HealthSchema))(text);
  return decoded._tag === "Some" ? decoded.value : undefined;
};

/** A line for each problem; what several have in common is said once: `task a and 3 more: ...`. */
export const describeProblems = (problems: readonly Problem[]): readonly string[] => {
  const groups = new Map<string, Problem[]>();
  for (const problem of problems) {
    const { state, reason, hint } = problem;
    const common = JSON.stringify([state, reason, hint]);
    groups.set(common, [...(groups.get(common) ?? []), problem]);
  }
  return [...groups.values()].map((alike) => {
    const { about, state, reason, hint } = alike[0]!;
    const verb = alike.length === 1 ? "is" : "are";
    return [
      about,
      alike.length === 1 ? "" : ` and ${alike.length - 1} more`,
      state === undefined ? "" : ` ${verb} ${state}`,
      `: ${reason}`,
      hint === undefined ? "" : `; ${hint}`,
    ].join("");
  });
};
