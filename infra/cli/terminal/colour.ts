/** Colours, only where a person looks: on a terminal, and not when NO_COLOR is set. */

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES: Readonly<Record<Style, string>> = {
  bold: "\x1b[1m",
  dim: "\x1b[2m",
  red: "\x1b[31m",
  green: "\x1b[32m",
  yellow: "\x1b[33m",
  cyan: "\x1b[36m",
};

export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;
export const coloured: Paint = (style, text) => `${CODES[style]}${text}\x1b[0m`;

/** https://no-color.org: any value but the empty one turns colours off. */
export const paintFor = (
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): Paint => {
  if ((environment["NO_COLOR"] ?? "") !== "") return plain;
  return isTerminal && environment["TERM"] !== "dumb" ? coloured : plain;
};
