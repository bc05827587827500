/** Aligned columns of text, for people: no frames, headers dimmed, numbers to the right. */
import type { Paint, Style } from "./colour.ts";

export interface Column {
  readonly header: string;
  readonly align?: "left" | "right";
}

/** A text, or a text in a colour: padding comes before colour, so columns stay aligned. */
export type Cell = string | { readonly text: string; readonly style: Style };

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

export const renderTable = (
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): string => {
  const widths = columns.map(({ header }, index) =>
    Math.max(header.length, ...rows.map((row) => textOf(row[index] ?? "").length)),
  );
  const padded = (text: string, index: number): string => {
    const width = widths[index]!;
    if (columns[index]!.align === "right") return text.padStart(width);
    return index === columns.length - 1 ? text : text.padEnd(width);
  };
  const header = columns.map((column, index) => padded(column.header, index)).join("  ");
  const lines = rows.map((row) =>
    columns
      .map((_, index) => {
        const cell = row[index] ?? "";
        const text = padded(textOf(cell), index);
        return typeof cell === "string" ? text : paint(cell.style, text);
      })
      .join("  ")
      .trimEnd(),
  );
  return [paint("dim", header.trimEnd()), ...lines, ""].join("\n");
};
