import { expect, test } from "vitest";
import { defaultMirror, mirrorsOf } from "./apt-sources.ts";

const deb822 = `# written by the installer
Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;

test("the mirror of this machine's own suite comes first, Debian's own second", () => {
  expect(mirrorsOf([{ name: "debian.sources", text: deb822 }], "bookworm")).toEqual([
    "http://mirror.example/debian",
    defaultMirror,
  ]);
});

test("one-line sources, with and without options", () => {
  const text = [
    "# deb http://commented.example/debian bookworm main",
    "deb-src http://source.example/debian bookworm main",
    "deb cdrom:[Debian]/ bookworm main",
    "deb http://security.example/debian-security bookworm-security main",
    "deb [arch=amd64 signed-by=/k.gpg] https://one.example/debian bookworm main contrib",
  ].join("\n");
  expect(mirrorsOf([{ name: "sources.list", text }], "bookworm")[0]).toBe(
    "https://one.example/debian",
  );
});

test("values may continue on the next line, and the first of several URIs counts", () => {
  const text =
    "Types: deb\nURIs:\n http://a.example/debian\n http://b.example/debian\nSuites:\n trixie\n";
  expect(mirrorsOf([{ name: "x.sources", text }], "trixie")[0]).toBe("http://a.example/debian");
});

test("disabled stanzas and files that apt ignores do not count", () => {
  const disabled = deb822.replaceAll("Types: deb", "Enabled: no\nTypes: deb");
  const files = [
    { name: "debian.sources", text: disabled },
    { name: "debian.sources.bak", text: deb822 },
  ];
  expect(mirrorsOf(files, "bookworm")).toEqual([defaultMirror]);
});

test("Debian's own mirror is not tried twice", () => {
  const text = `deb ${defaultMirror} bookworm main`;
  expect(mirrorsOf([{ name: "sources.list", text }], "bookworm")).toEqual([defaultMirror]);
});
