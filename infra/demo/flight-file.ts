/**
 * The demo's input: 3,000,000 US departures of 2001 as a Parquet file, read with DuckDB. The file is
 * the authority for both sides of the check: what is sent, and what the results must be.
 *
 * F1. Rows come in order of date, then of their place in the file, which is also a row's number: the
 *     same prefix holds the same rows in every run.
 * F2. Memory is bounded: rows leave DuckDB in chunks of typed arrays, and DuckDB itself may take
 *     512 MiB before it spills.
 *
 * Dates in the file are naive local times; they are taken as UTC.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DuckDBInstance, type DuckDBConnection, type DuckDBDataChunk } from "@duckdb/node-api";

/** Stands for a null delay in `FlightChunk.delays`. */
export const NO_DELAY = -2_147_483_648;

/** Columns of some flights; row i of each is one flight. Valid until the next chunk is asked for. */
export interface FlightChunk {
  readonly count: number;
  readonly rows: Int32Array;
  /** Milliseconds since the epoch. */
  readonly times: Float64Array;
  readonly delays: Int32Array;
  readonly distances: Int32Array;
  /** Indexes into `FlightFile.airports`. */
  readonly origins: Int32Array;
  readonly destinations: Int32Array;
}

export interface FlightFile {
  /** Flights in the chosen prefix. */
  readonly count: number;
  /** Codes of all airports, sorted by byte. */
  readonly airports: readonly string[];
  /** Codes that occur as an origin in the whole file. */
  readonly origins: readonly string[];
  readonly firstTime: number;
  readonly lastTime: number;
  flights(): AsyncIterable<FlightChunk>;
  /** Chunks of a query over `flight(row, time, delay, distance, origin, destination)`. */
  query(sql: string): AsyncIterable<DuckDBDataChunk>;
  close(): void;
}

export const flightFilePath = (): string => {
  const module = createRequire(import.meta.url).resolve("vega-datasets");
  return join(dirname(module), "..", "data", "flights-3m.parquet");
};

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The values of one column of a chunk whose type DuckDB keeps as plain numbers. */
export const numbersOf = <Column extends Int32Array | Float64Array | BigInt64Array>(
  chunk: DuckDBDataChunk,
  column: number,
): Column => (chunk.getColumnVector(column) as unknown as { readonly items: Column }).items;

async function* chunksOf(
  connection: DuckDBConnection,
  sql: string,
): AsyncGenerator<DuckDBDataChunk> {
  const result = await connection.stream(sql);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    yield chunk;
  }
}

/** Opens the first `limit` flights, or all. */
export const openFlightFile = async (limit: number | undefined): Promise<FlightFile> => {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: "2",
    memory_limit: "512MiB",
  });
  const connection = await instance.connect();
  const file = literal(flightFilePath());
  await connection.run(
    `create type airport as enum (
       select code from (select origin as code from ${file}
                         union select destination from ${file}) order by code)`,
  );
  const total = await scalar(connection, `select count(*)::double from ${file}`);
  const count = Math.min(limit ?? total, total);
  const prefix = count < total ? `order by date, file_row_number limit ${count}` : "";
  await connection.run(
    `create view flight as
     select file_row_number as row, epoch_ms(date) as time, delay, distance,
            origin::airport as origin, destination::airport as destination
     from (select * from read_parquet(${file}, file_row_number = true) ${prefix})`,
  );
  const airports = await texts(connection, "select unnest(enum_range(null::airport))::varchar");
  const origins = await texts(connection, `select distinct origin from ${file} order by origin`);
  return {
    count,
    airports,
    origins,
    firstTime: await scalar(connection, "select min(time)::double from flight"),
    lastTime: await scalar(connection, "select max(time)::double from flight"),
    flights: () => flightChunks(connection),
    query: (sql) => chunksOf(connection, sql),
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
};

async function* flightChunks(connection: DuckDBConnection): AsyncGenerator<FlightChunk> {
  const sql = `select row::integer, time::double, coalesce(delay, ${NO_DELAY})::integer,
      distance::integer, enum_code(origin)::integer, enum_code(destination)::integer
    from flight order by time, row`;
  for await (const chunk of chunksOf(connection, sql)) {
    yield {
      count: chunk.rowCount,
      rows: numbersOf<Int32Array>(chunk, 0),
      times: numbersOf<Float64Array>(chunk, 1),
      delays: numbersOf<Int32Array>(chunk, 2),
      distances: numbersOf<Int32Array>(chunk, 3),
      origins: numbersOf<Int32Array>(chunk, 4),
      destinations: numbersOf<Int32Array>(chunk, 5),
    };
  }
}

const scalar = async (connection: DuckDBConnection, sql: string): Promise<number> => {
  const reader = await connection.runAndReadAll(sql);
  return Number(reader.getRows()[0]?.[0]);
};

const texts = async (connection: DuckDBConnection, sql: string): Promise<string[]> => {
  const reader = await connection.runAndReadAll(sql);
  return reader.getRows().map((row) => String(row[0]));
};
