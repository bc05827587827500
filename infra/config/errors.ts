/** What can be wrong with the configuration: one error, with every mistake in it. */
import { Schema } from "effect";

const Mistake = Schema.Struct({
  /** "tidemark.config.ts: gateway.port", or the name of a variable of the environment. */
  path: Schema.String,
  message: Schema.String,
});

/** The system cannot start as it is configured. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  mistakes: Schema.Array(Mistake),
}) {
  override get message(): string {
    const lines = this.mistakes.map(({ path, message }) =>
      path === "" ? message : `${path}: ${message}`,
    );
    return lines.length === 1
      ? lines[0]!
      : `the configuration has ${lines.length} mistakes:\n${lines.map((line) => `  ${line}`).join("\n")}`;
  }
}
