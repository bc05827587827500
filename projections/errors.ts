/**
 * What can be wrong with what users write: a definition, a .proto file, a payload. Each error says
 * where, and what would be right; none needs its stack to be understood.
 */

/** One thing wrong with a definition or a setting: where, and what would be right. */
export interface Mistake {
  /** Path within the definition: "aggregates.meanDelay.of.field". Empty for the whole of it. */
  readonly path: string;
  readonly message: string;
}

const describe = (subject: string, mistakes: readonly Mistake[]): string => {
  const lines = mistakes.map(({ path, message }) =>
    path === "" ? message : `${path}: ${message}`,
  );
  return lines.length === 1
    ? `${subject}: ${lines[0]}`
    : `${subject} has ${lines.length} mistakes:\n${lines.map((line) => `  ${line}`).join("\n")}`;
};

/** A topic or projection that cannot run. Lists all its mistakes, not only the first. */
export class DefinitionError extends Error {
  readonly _tag = "DefinitionError";
  override readonly name = "DefinitionError";
  readonly subject: string;
  readonly mistakes: readonly Mistake[];

  constructor(subject: string, mistakes: readonly Mistake[]) {
    super(describe(subject, mistakes));
    this.subject = subject;
    this.mistakes = mistakes;
  }
}

/** A .proto file that is missing or wrong, or a type that no loaded file declares. */
export class SchemaError extends Error {
  readonly _tag = "SchemaError";
  override readonly name = "SchemaError";
  /** Absolute path of the file; undefined when the mistake is in no particular one. */
  readonly file: string | undefined;
  /** From 1. */
  readonly line: number | undefined;

  constructor(reason: string, file?: string, line?: number) {
    const place = file === undefined ? "" : line === undefined ? `${file}: ` : `${file}:${line}: `;
    super(place + reason);
    this.file = file;
    this.line = line;
  }
}

/** A payload that does not match its type. */
export class PayloadError extends Error {
  readonly _tag = "PayloadError";
  override readonly name = "PayloadError";
  readonly type: string;
  /** Path of the field within the payload: "items[2].price". Empty for the payload as a whole. */
  readonly path: string;
  readonly reason: string;

  constructor(type: string, path: string, reason: string) {
    super(path === "" ? `${type}: ${reason}` : `${type}: ${path}: ${reason}`);
    this.type = type;
    this.path = path;
    this.reason = reason;
  }
}
