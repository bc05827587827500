/**
 * What every window must hold, computed by DuckDB from the Parquet file: an implementation of the
 * same numbers that shares no code with Tidemark. Streams in the order of ListResults, by key and
 * then window start.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { numbersOf, type FlightFile } from "./flight-file.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Integers are exact; null where no event had the field. */
export type ExpectedValue =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "null" };

export interface ExpectedResult {
  readonly key: string;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly values: Readonly<Record<string, ExpectedValue>>;
}

export interface ExpectedProjection {
  readonly name: string;
  results(file: FlightFile): AsyncIterable<ExpectedResult>;
}

const NULL: ExpectedValue = { kind: "null" };
const integer = (value: bigint): ExpectedValue => ({ kind: "integer", value });

/** Sum over count, divided once: the double nearest to the exact mean. */
const meanOf = (sum: bigint, count: bigint): ExpectedValue =>
  count === 0n ? NULL : { kind: "double", value: Number(sum) / Number(count) };

async function* resultsOf(
  file: FlightFile,
  sql: string,
  sizeMs: number,
  valuesAt: (chunk: DuckDBDataChunk, row: number) => ExpectedResult["values"],
): AsyncGenerator<ExpectedResult> {
  for await (const chunk of file.query(sql)) {
    const keys = numbersOf<Int32Array>(chunk, 0);
    const starts = numbersOf<Float64Array>(chunk, 1);
    for (let row = 0; row < chunk.rowCount; row++) {
      yield {
        key: file.airports[keys[row]!]!,
        windowStart: starts[row]!,
        windowEnd: starts[row]! + sizeMs,
        values: valuesAt(chunk, row),
      };
    }
  }
}

/** Group starts for times after 1970, as all of the file's are. */
const grouped = (key: string, sizeMs: number, columns: string): string =>
  `select enum_code(${key})::integer as key, ((time // ${sizeMs}) * ${sizeMs})::double as start, ${columns}
   from flight group by key, start order by key, start`;

export const EXPECTED_PROJECTIONS: readonly ExpectedProjection[] = [
  {
    name: "departures-by-origin",
    results: (file) =>
      resultsOf(
        file,
        grouped(
          "origin",
          HOUR_MS,
          `count(*)::bigint, count(delay)::bigint, coalesce(sum(delay), 0)::bigint,
           coalesce(min(delay), 0)::bigint, coalesce(max(delay), 0)::bigint`,
        ),
        HOUR_MS,
        (chunk, row) => {
          const at = (column: number) => numbersOf<BigInt64Array>(chunk, column)[row]!;
          const [departures, delays, sum, min, max] = [at(2), at(3), at(4), at(5), at(6)];
          return {
            departures: integer(departures),
            meanDelay: meanOf(sum, delays),
            minDelay: delays === 0n ? NULL : integer(min),
            maxDelay: delays === 0n ? NULL : integer(max),
          };
        },
      ),
  },
  {
    name: "departures-by-destination",
    results: (file) =>
      resultsOf(file, grouped("destination", DAY_MS, "count(*)::bigint"), DAY_MS, (chunk, row) => ({
        departures: integer(numbersOf<BigInt64Array>(chunk, 2)[row]!),
      })),
  },
];
