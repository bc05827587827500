/** `tidemark replay` */
import { Effect } from "effect";
import { CliError } from "../cli-error.ts";
import type { ReplayFlags, Run } from "../program.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const replay = (_projection: string, _flags: ReplayFlags, _terminal: Terminal): Run =>
  Effect.fail(new CliError("replay is not wired yet"));
