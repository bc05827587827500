/**
 * `tidemark tail PROJECTION`: updates as they are committed, one a line. It survives a restart of the
 * gateway: the resume token of the last response says where to go on.
 */
import { status } from "@grpc/grpc-js";
import { resultToJson } from "../../../proto/result-json.ts";
import type { Result } from "../../../proto/gen/tidemark/v1/result.ts";
import type { SubscribeRequest } from "../../../proto/gen/tidemark/v1/query.ts";
import { CliError, fromServiceError, isServiceError } from "../cli-error.ts";
import type { GatewayClient } from "../gateway-client.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { resultLine } from "./result-line.ts";

const RETRY_MS = 500;
const DEAD_LETTERS = /^(d[lq]{1,3}s?|dead-?_?letters?)$/i;

export interface TailOptions {
  readonly projection: string;
  readonly keyPrefix: string;
  /** The current results first. */
  readonly fromStart: boolean;
  readonly json: boolean;
  /** Ends after so many lines. */
  readonly limit: number | undefined;
}

export interface TailDependencies {
  readonly client: Pick<GatewayClient, "subscribe" | "address">;
  readonly terminal: Terminal;
  readonly sleep: (ms: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Close to "dlq" and unknown to the gateway: it is the dead letters that are meant. */
const meant = (name: string, error: unknown, address: string): unknown => {
  const told = fromServiceError(error, address);
  const unknown = isServiceError(error) && error.code === status.NOT_FOUND;
  if (!unknown || !(told instanceof CliError) || !DEAD_LETTERS.test(name)) return told;
  return new CliError(told.message, { hint: "The dead letters are `tidemark tail dlq`." });
};

export const tail = async (
  options: TailOptions,
  { client, terminal, sleep, signal }: TailDependencies,
): Promise<number> => {
  let lines = 0;
  let resumeToken = "";
  let connected = false;
  const show = (result: Result): boolean => {
    terminal.out.write(`${options.json ? resultToJson(result) : resultLine(result)}\n`);
    return ++lines === options.limit;
  };
  for (;;) {
    const request: SubscribeRequest = {
      projection: options.projection,
      keyPrefix: options.keyPrefix,
      resumeToken,
      version: 0,
      updatesOnly: !options.fromStart && resumeToken === "",
    };
    try {
      for await (const { event, resumeToken: token } of client.subscribe(request, signal)) {
        connected = true;
        if (event !== undefined && event.$case !== "snapshotEnd" && show(event.value)) return 0;
        if (token !== "") resumeToken = token;
      }
      if (signal.aborted) return 0;
    } catch (error) {
      const cut = isServiceError(error) && error.code === status.UNAVAILABLE;
      const afresh =
        isServiceError(error) &&
        (error.code === status.OUT_OF_RANGE || error.code === status.ABORTED);
      // A gateway that was never there is an error; one that went away comes back.
      if (!(afresh || (cut && connected))) throw meant(options.projection, error, client.address);
      terminal.err.write(`${error.details}; subscribing again\n`);
      if (afresh) resumeToken = "";
    }
    await sleep(RETRY_MS);
  }
};
