/**
 * Where a command writes: what was asked for goes to stdout, everything else to stderr. Tests hand
 * in one of their own.
 */
import { paintFor, type Paint } from "./colour.ts";

export interface Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly paint: Paint;
  readonly write: (text: string) => void;
}

export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

const outputOf = (stream: NodeJS.WriteStream): Output => {
  const isTerminal = stream.isTTY === true;
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 100;
    },
    paint: paintFor(process.env, isTerminal),
    write: (text) => void stream.write(text),
  };
};

export const processTerminal = (): Terminal => ({
  out: outputOf(process.stdout),
  err: outputOf(process.stderr),
});

/** Both outputs are one: for a command whose report is all that it writes. */
export const onlyErr = (terminal: Terminal): Terminal => ({ out: terminal.err, err: terminal.err });
