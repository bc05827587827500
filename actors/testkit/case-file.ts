/**
 * Reads the text of a case file, YAML or JSON, into data that remembers its lines.
 *
 * F1. Integers of any size keep their digits: those beyond 2^53 become bigints.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, Node } from "yaml";
import { at } from "../../projections/definition/reading.ts";
import { CaseError } from "./case.ts";
import type { LineOf } from "./case.ts";

export interface CaseFile {
  readonly content: unknown;
  readonly lineOf: LineOf;
}

class CaseReader {
  readonly lines = new Map<string, number>();
  readonly #document: Document;
  readonly #counter: LineCounter;

  constructor(document: Document, counter: LineCounter) {
    this.#document = document;
    this.#counter = counter;
  }

  read(node: unknown, path: string): unknown {
    this.#note(node, path);
    if (isAlias(node)) return this.read(node.resolve(this.#document), path);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, at(path, index)));
    if (isMap(node)) {
      return Object.fromEntries(
        node.items.map((pair) => {
          const key = String(isScalar(pair.key) ? pair.key.value : pair.key);
          this.#note(pair.key, at(path, key));
          return [key, this.read(pair.value, at(path, key))];
        }),
      );
    }
    const value = isScalar(node) ? node.value : node;
    if (typeof value !== "bigint") return value;
    return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
      ? Number(value)
      : value;
  }

  #note(node: unknown, path: string): void {
    const range = (node as Node | null)?.range;
    if (range && !this.lines.has(path)) this.lines.set(path, this.#counter.linePos(range[0]).line);
  }
}

/** Throws {@link CaseError} for text that is neither YAML nor JSON. */
export const parseCase = (text: string): CaseFile => {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, intAsBigInt: true });
  if (document.errors.length > 0) {
    throw new CaseError(
      document.errors.map((error) => ({
        path: "",
        line: error.linePos?.[0].line,
        message: error.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, ""),
      })),
    );
  }
  const reader = new CaseReader(document, counter);
  const content = reader.read(document.contents, "");
  const { lines } = reader;
  return { content, lineOf: (path) => nearestLine(lines, path) };
};

/** Of the part itself, or of the smallest part around it that has a line. */
const nearestLine = (lines: ReadonlyMap<string, number>, path: string): number | undefined => {
  let part = path;
  for (;;) {
    const line = lines.get(part);
    if (line !== undefined || part === "") return line;
    part = part.slice(0, Math.max(0, part.search(/(\.[^.[\]]*|\[[^[\]]*\])$/)));
  }
};
