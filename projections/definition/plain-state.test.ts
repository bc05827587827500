import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { STATE_BYTES_MAX } from "./limits.ts";
import { readPlain, sealState, writePlain } from "./plain-state.ts";
import type { PlainState } from "./plain-state.ts";

const copy = (state: PlainState): PlainState => {
  const out = new ByteWriter();
  writePlain(state, out);
  return readPlain(new ByteReader(out.finish()));
};

const { state } = fc.letrec<{ state: PlainState }>((tie) => ({
  state: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, -0, 0, 0.1),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.string({ unit: "grapheme" }),
    fc.array(tie("state")),
    fc.dictionary(fc.string(), tie("state")),
  ),
}));

/** All that code can see of it, the order of members too. */
const visible = (value: PlainState): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "bigint" ? `${inner}n` : Object.is(inner, -0) ? "-0" : inner,
  );

test("S3: a state that was written and read again is the same, in the order of its members", () => {
  fc.assert(
    fc.property(state, (given) => {
      const sealed = sealState(given, "the state");
      expect(copy(sealed)).toEqual(sealed);
      expect(visible(copy(sealed))).toBe(visible(sealed));
    }),
  );
  const odd = JSON.parse('{"b":1,"a":2,"1":3,"__proto__":4}') as PlainState;
  expect(visible(copy(odd))).toBe('{"1":3,"b":1,"a":2,"__proto__":4}');
});

test("S2: nothing of a state can be changed, nor of one that was read", () => {
  const sealed = sealState({ list: [{ n: 1 }] }, "the state");
  for (const each of [sealed, copy(sealed)]) {
    const { list } = each as { list: { n: number }[] };
    expect(() => list.push({ n: 2 })).toThrow(TypeError);
    expect(() => (list[0]!.n = 2)).toThrow(TypeError);
  }
});

const loop: Record<string, unknown> = {};
loop["self"] = { loop };
class Basket {
  readonly apples = 1;
}

test.for<readonly [string, unknown]>([
  ["the state at a.b[1] is NaN: it must be data as in JSON", { a: { b: [1, NaN] } }],
  ["the state at n is Infinity", { n: Infinity }],
  ["the state at f is a function", { f: () => 1 }],
  ["the state at u is undefined", { u: undefined }],
  ["the state at when is a Uint8Array", { when: new Uint8Array(1) }],
  ["the state at m is a Map", { m: new Map() }],
  ["the state is a Basket", new Basket()],
  ["the state at s is a symbol", { s: Symbol("x") }],
  ["the state at big is an integer of more than 64 bits", { big: 2n ** 63n }],
  ["the state at text is a string with half a character", { text: "\ud800" }],
  ["the state at sparse[1] is undefined", { sparse: Object.assign([1], { 2: 3 }) }],
  [
    "the state holds itself, or more than 32 objects within one another, at self.loop.self...",
    loop,
  ],
  [`the state has more than ${STATE_BYTES_MAX} bytes: the limit`, "x".repeat(STATE_BYTES_MAX)],
])("S1: refuses what no state can be: %s", ([message, given]) => {
  expect(() => sealState(given, "the state")).toThrow(message);
});
