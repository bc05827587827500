import { expect, it } from "vitest";
import { decodeManifest, encodeManifest } from "./manifest.ts";

const manifest = {
  epoch: 7,
  inputSequence: 2 ** 53 - 1,
  id: "0b9cde04-1e5c-4b8f-8e4e-3a3f1e1c9d2a",
  chunks: 3,
  bytes: 9_000_000,
  checksum: "ab".repeat(32),
};

it("reads back what it wrote", () => {
  expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
});

it("takes a line with any bit flipped, or cut anywhere, for none", () => {
  const line = encodeManifest(manifest);
  for (let index = 0; index < line.length; index++) {
    for (let bit = 0; bit < 7; bit++) {
      const code = line.charCodeAt(index) ^ (1 << bit);
      const flipped = line.slice(0, index) + String.fromCharCode(code) + line.slice(index + 1);
      expect(decodeManifest(flipped)).toBeUndefined();
    }
    expect(decodeManifest(line.slice(0, index))).toBeUndefined();
  }
});
