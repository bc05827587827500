/** `tidemark list` and `tidemark get`: results as they stand now. */
import { resultToJson } from "../../../proto/result-json.ts";
import type { Result } from "../../../proto/gen/tidemark/v1/result.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { count } from "../terminal/format.ts";
import { renderTable } from "../terminal/table.ts";
import type { Output, Terminal } from "../terminal/terminal.ts";
import { resultColumns, resultRows } from "./result-line.ts";

export interface ListOptions {
  readonly projection: string;
  readonly keyPrefix: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly limit: number;
  readonly json: boolean;
}

const write = (output: Output, results: readonly Result[], json: boolean): void => {
  if (json) {
    for (const result of results) output.write(`${resultToJson(result)}\n`);
  } else if (results.length > 0) {
    output.write(renderTable(resultColumns(results), resultRows(results), output.paint));
  }
};

export const list = async (
  { projection, keyPrefix, from, to, limit, json }: ListOptions,
  client: Pick<GatewayClient, "listResults">,
  terminal: Terminal,
): Promise<number> => {
  const results: Result[] = [];
  let more = false;
  // One beyond the limit tells whether there are more.
  const pageSize = Math.min(limit + 1, 1_000);
  for await (const result of client.listResults(
    { projection, keyPrefix, from, to, version: 0 },
    pageSize,
  )) {
    if (results.length === limit) {
      more = true;
      break;
    }
    results.push(result);
  }
  write(terminal.out, results, json);
  if (results.length === 0) terminal.err.write("no results\n");
  if (more) terminal.err.write(`only the first ${count(limit)}; more with --limit\n`);
  return 0;
};

export interface GetOptions {
  readonly projection: string;
  readonly key: string;
  readonly windowStart: number | undefined;
  readonly json: boolean;
}

export const get = async (
  { projection, key, windowStart, json }: GetOptions,
  client: Pick<GatewayClient, "getResult">,
  terminal: Terminal,
): Promise<number> => {
  const result = await client.getResult({ projection, key, windowStart, version: 0 });
  write(terminal.out, [result], json);
  return 0;
};
