/**
 * Reads where this machine's apt gets its packages from. Pure: text in, mirror out.
 *
 * Both formats are understood: one-line (`deb [options] uri suite components`) and deb822
 * (`Types: / URIs: / Suites:` stanzas).
 */

export const defaultMirror = "http://deb.debian.org/debian";

interface Source {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

function oneLineSources(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line);
    if (match) sources.push({ uris: [match[1]!], suites: [match[2]!] });
  }
  return sources;
}

function deb822Sources(text: string): Source[] {
  const sources: Source[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    let current = "";
    for (const line of stanza.split("\n")) {
      if (line.startsWith("#")) continue;
      const field = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
      if (field) {
        current = field[1]!.toLowerCase();
        fields.set(current, field[2]!);
      } else if (current !== "") {
        fields.set(current, `${fields.get(current) ?? ""} ${line}`);
      }
    }
    const enabled = (fields.get("enabled") ?? "yes").trim().toLowerCase() !== "no";
    if (enabled && words(fields.get("types") ?? "").includes("deb")) {
      sources.push({
        uris: words(fields.get("uris") ?? ""),
        suites: words(fields.get("suites") ?? ""),
      });
    }
  }
  return sources;
}

export interface SourcesFile {
  /** File name: its ending says the format. */
  readonly name: string;
  readonly text: string;
}

/**
 * The mirrors to try, best first: the one this machine uses for `codename`, then Debian's own.
 * A suite like `bookworm-security` is another archive, so the suite must match exactly.
 */
export function mirrorsOf(files: readonly SourcesFile[], codename: string): string[] {
  const own = files
    .flatMap((file) =>
      file.name.endsWith(".sources")
        ? deb822Sources(file.text)
        : file.name.endsWith(".list")
          ? oneLineSources(file.text)
          : [],
    )
    .filter((source) => source.suites.includes(codename))
    .flatMap((source) => source.uris)
    .filter((uri) => !uri.startsWith("cdrom:"))
    .map((uri) => uri.replace(/\/+$/, ""));
  return [...new Set([...own.slice(0, 1), defaultMirror])];
}
