/**
 * What a command ends with when it cannot do what it was asked: one sentence that says what happened,
 * one that says what to do, and an exit code.
 */
import { status, type ServiceError } from "@grpc/grpc-js";

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export class CliError extends Error {
  override readonly name = "CliError";
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(
    message: string,
    options: { readonly hint?: string; readonly exitCode?: number } = {},
  ) {
    super(message);
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? EXIT_FAILED;
  }
}

export const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && "code" in error && "details" in error;

/** grpc-js wraps what the socket said in words of its own. */
const connectionProblem = (details: string): string =>
  /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(details)?.[1] ?? details;

/** An error of a gRPC call, in the words of a command line. */
export const fromServiceError = (error: unknown, address: string): unknown => {
  if (!isServiceError(error)) return error;
  switch (error.code) {
    case status.UNAVAILABLE:
      return new CliError(`no gateway answers at ${address}: ${connectionProblem(error.details)}`, {
        hint: "Start the system with `tidemark start`, or name another gateway with --gateway.",
      });
    case status.DEADLINE_EXCEEDED:
      return new CliError(`the gateway at ${address} did not answer in time`, {
        hint: "See what is behind with `tidemark status`.",
      });
    case status.UNIMPLEMENTED:
      return new CliError(`the server at ${address} is not a Tidemark gateway of this version`, {
        hint: "Check --gateway.",
      });
    default:
      return new CliError(error.details === "" ? error.message : error.details);
  }
};

/** What to print for an error, whatever it is; the stack only with TIDEMARK_DEBUG. */
export const describeError = (
  error: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly message: string; readonly hint: string | undefined; readonly exitCode: number } => {
  const message = error instanceof Error && error.message !== "" ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const debug = (environment["TIDEMARK_DEBUG"] ?? "") !== "";
  return {
    message: debug && stack !== undefined ? stack : message,
    hint: error instanceof CliError ? error.hint : undefined,
    exitCode: error instanceof CliError ? error.exitCode : EXIT_FAILED,
  };
};
