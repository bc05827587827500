/** Comma-separated values as RFC 4180 has them: quoted fields may hold commas, quotes and line ends. */

export interface CsvRecord {
  /** From 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** Empty lines are left out. Throws a SyntaxError that names the line. */
export const parseCsv = (text: string): readonly CsvRecord[] => {
  const records: CsvRecord[] = [];
  let line = 1;
  let at = text.startsWith("\uFEFF") ? 1 : 0;
  while (at < text.length) {
    const start = line;
    const fields: string[] = [];
    for (;;) {
      let field = "";
      if (text[at] === '"') {
        for (at++; ; at++) {
          if (at >= text.length) throw new SyntaxError(`line ${start}: a quote is never closed`);
          if (text[at] === '"') {
            if (text[at + 1] !== '"') break;
            at++;
          } else if (text[at] === "\n") line++;
          field += text[at];
        }
        at++;
        if (at < text.length && !",\r\n".includes(text[at]!)) {
          throw new SyntaxError(`line ${line}: a quoted value goes on after its closing quote`);
        }
      } else {
        const from = at;
        while (at < text.length && !",\r\n".includes(text[at]!)) at++;
        field = text.slice(from, at);
      }
      fields.push(field);
      if (text[at] !== ",") break;
      at++;
    }
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    line++;
    if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
  }
  return records;
};
