import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { expect, it } from "vitest";
import { validUtf8 } from "./utf8.ts";

it("agrees with the platform on every short and long sequence", () => {
  const mostlyContinuations = fc.array(
    fc.oneof(
      fc.integer({ min: 0x80, max: 0xbf }),
      fc.integer({ min: 0xc0, max: 0xff }),
      fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x41),
    ),
    { maxLength: 6 },
  );
  const text = fc.string({ unit: "binary", maxLength: 80 }).map((value) => [...Buffer.from(value)]);
  fc.assert(
    fc.property(fc.oneof(mostlyContinuations, text), fc.nat({ max: 3 }), (codes, cut) => {
      const bytes = Uint8Array.from([0x41, ...codes, 0x80]);
      const end = Math.max(1, bytes.length - 1 - cut);
      expect(validUtf8(bytes, 1, end)).toBe(isUtf8(bytes.subarray(1, end)));
    }),
    { numRuns: 5000 },
  );
});

it("agrees with the platform on all sequences of two bytes and on edges of three and four", () => {
  const check = (...codes: number[]): void => {
    const bytes = Uint8Array.from(codes);
    if (validUtf8(bytes, 0, bytes.length) !== isUtf8(bytes)) expect(codes).toBe("alike");
  };
  for (let a = 0; a < 256; a++) for (let b = 0; b < 256; b++) check(a, b);
  for (const a of [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5]) {
    for (let b = 0; b < 256; b++) {
      for (const c of [0x7f, 0x80, 0xbf, 0xc0]) {
        check(a, b, c);
        for (const d of [0x7f, 0x80, 0xbf, 0xc0]) check(a, b, c, d);
      }
    }
  }
});
