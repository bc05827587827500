/** A glimpse of the results: the busiest airports on the busiest day. */
import { count, time } from "../cli/terminal/format.ts";
import { renderTable } from "../cli/terminal/table.ts";
import type { Paint } from "../cli/terminal/colour.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";

const ROWS = 6;

const integerOf = (result: Result, name: string): number => {
  const kind = result.values.find((value) => value.name === name)?.value?.kind;
  return kind?.$case === "intValue" ? Number(kind.value) : 0;
};

const textOf = (result: Result, name: string): string => {
  const kind = result.values.find((value) => value.name === name)?.value?.kind;
  if (kind?.$case === "doubleValue") return kind.value.toFixed(1);
  return kind?.$case === "intValue" ? kind.value : "-";
};

/** The windows with most departures of those that were seen; fed while they are compared. */
export class Busiest {
  readonly #rows: Result[] = [];

  see(result: Result): void {
    const departures = integerOf(result, "departures");
    const last = this.#rows.at(-1);
    if (this.#rows.length === ROWS && last && integerOf(last, "departures") >= departures) return;
    this.#rows.push(result);
    this.#rows.sort((a, b) => integerOf(b, "departures") - integerOf(a, "departures"));
    this.#rows.length = Math.min(this.#rows.length, ROWS);
  }

  async *watch(results: AsyncIterable<Result>): AsyncGenerator<Result> {
    for await (const result of results) {
      this.see(result);
      yield result;
    }
  }

  render(title: string, paint: Paint): string {
    const first = this.#rows[0];
    if (first === undefined) return "";
    const others = first.values.map(({ name }) => name).filter((name) => name !== "departures");
    return (
      `${paint("bold", title)}\n` +
      renderTable(
        [
          { header: "airport" },
          { header: "window start (UTC)" },
          { header: "departures", align: "right" },
          ...others.map((header) => ({ header, align: "right" as const })),
        ],
        this.#rows.map((result) => [
          result.key,
          time(result.window?.start ?? 0),
          count(integerOf(result, "departures")),
          ...others.map((name) => textOf(result, name)),
        ]),
        paint,
      )
    );
  }
}
