import fc from "fast-check";
import { expect, test } from "vitest";
import {
  canonicalState,
  checkPlain,
  readPlain,
  sealState,
  STATE_BYTES_MAX,
  writePlain,
} from "./plain-state.ts";
import type { PlainReader, PlainState, PlainWriter } from "./plain-state.ts";

/** What is written, as a list of what was asked for. */
class Tape implements PlainWriter {
  readonly written: unknown[] = [];
  readonly #put = (value: unknown): void => void this.written.push(value);
  readonly byte = this.#put;
  readonly double = this.#put;
  readonly uint32 = this.#put;
  readonly varint = this.#put;
  readonly text = this.#put;

  get reader(): PlainReader {
    const next = () => this.written.shift() as never;
    return { byte: next, double: next, uint32: next, varint: next, text: next };
  }
}

const copy = (state: PlainState): PlainState => {
  const out = new Tape();
  writePlain(state, out);
  return readPlain(out.reader);
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

test("S4: a state that was written and read again is the same, in the order of its members", () => {
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

test("S4: an object without a prototype comes back as one, with no member that it was not given", () => {
  const bare = Object.assign(Object.create(null), { b: 1, ["__proto__"]: 2 }) as PlainState;
  const again = copy(sealState({ bare, plain: {} }, "the state"));
  const { bare: bareAgain, plain } = again as { readonly [name: string]: object };
  expect("constructor" in bareAgain!).toBe(false);
  expect(visible(again)).toBe('{"bare":{"b":1,"__proto__":2},"plain":{}}');
  expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
});

test("S3: nothing of a state can be changed, nor of one that was read", () => {
  const sealed = sealState({ list: [{ n: 1 }] }, "the state");
  for (const each of [sealed, copy(sealed)]) {
    const { list } = each as { list: { n: number }[] };
    expect(() => list.push({ n: 2 })).toThrow(TypeError);
    expect(() => (list[0]!.n = 2)).toThrow(TypeError);
  }
});

/** The same value, its members set in the opposite order, at all depths. */
const turned = (value: PlainState): PlainState => {
  if (typeof value !== "object" || value === null) return Object.is(value, 0) ? -0 : value;
  if (Array.isArray(value)) return value.map(turned);
  const members = Object.entries(value as Readonly<Record<string, PlainState>>);
  const copy: Record<string, PlainState> = {};
  for (const [name, inner] of members.reverse()) {
    Object.defineProperty(copy, name, {
      value: turned(inner),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
};

const written = (value: PlainState): readonly unknown[] => {
  const out = new Tape();
  writePlain(value, out);
  return out.written;
};

test("S5: equal values are one canonical state, whatever the order of their members", () => {
  fc.assert(
    fc.property(state, (given) => {
      const canonical = canonicalState(given, "the state");
      const other = canonicalState(turned(given), "the state");
      expect(written(other)).toEqual(written(canonical));
      expect(visible(other)).toBe(visible(canonical));
      expect(visible(copy(canonical))).toBe(visible(canonical));
      expect(visible(canonical)).not.toContain('"-0"');
    }),
  );
  const odd = JSON.parse('{"b":-0,"a":2,"10":3,"9":4,"__proto__":{"x":5}}') as PlainState;
  const canonical = canonicalState(odd, "the state");
  expect(visible(canonical)).toBe('{"9":4,"10":3,"__proto__":{"x":5},"a":2,"b":0}');
  expect(Object.getPrototypeOf(canonical)).toBe(Object.prototype);
});

test("S5: a canonical state is a copy, frozen all through, and leaves what it was made of alone", () => {
  const given = { list: [{ n: 1 }] };
  const canonical = canonicalState(given, "the state") as typeof given;
  expect(() => canonical.list[0]!.n++).toThrow(TypeError);
  expect(() => canonical.list.push({ n: 2 })).toThrow(TypeError);
  given.list[0]!.n = 2;
  expect(canonical.list[0]!.n).toBe(1);
});

test("what is only checked is not frozen", () => {
  const given = { list: [1] };
  expect(checkPlain(given, "the value")).toBe(given);
  given.list.push(2);
  expect(() => checkPlain({ list: [1, Number.NaN] }, "the value")).toThrow(
    "the value at list[1] is NaN",
  );
});

const loop: Record<string, unknown> = {};
loop["self"] = { loop };
class Basket {
  readonly apples = 1;
}
class Queue extends Array {}

test.for<readonly [string, unknown]>([
  ["the state at a.b[1] is NaN: it must be data as in JSON", { a: { b: [1, NaN] } }],
  ["the state at n is Infinity", { n: Infinity }],
  ["the state is a Date", new Date(0)],
  ["the state at of.it is a Promise", { of: { it: Promise.resolve(1) } }],
  ["the state at f is a function", { f: () => 1 }],
  ["the state at u is undefined", { u: undefined }],
  ["the state at when is a Uint8Array", { when: new Uint8Array(1) }],
  ["the state at m is a Map", { m: new Map() }],
  ["the state is a Basket", new Basket()],
  ["the state at s is a symbol", { s: Symbol("x") }],
  ["the state at big is an integer of more than 64 bits", { big: 2n ** 63n }],
  ["the state at text is a string with half a character", { text: "\ud800" }],
  ["the state at of.\ud800 is named with half a character", { of: { "\ud800": 1 } }],
  ["the state at found.index is a member of a list besides its items", { found: /b/.exec("ab") }],
  ["the state at queue is a Queue", { queue: new Queue() }],
  ["the state at of is an object with a symbol as a name", { of: { [Symbol("x")]: 1 } }],
  ["the state at hidden is not enumerable", Object.defineProperty({}, "hidden", { value: 1 })],
  [
    "the state at of[0].twice is a getter",
    {
      of: [
        {
          n: 1,
          get twice() {
            return this.n * 2;
          },
        },
      ],
    },
  ],
  ["the state at sparse[1] is undefined", { sparse: Object.assign([1], { 2: 3 }) }],
  [
    "the state holds itself, or more than 32 objects within one another, at self.loop.self...",
    loop,
  ],
  [`the state has more than ${STATE_BYTES_MAX} bytes: the limit`, "x".repeat(STATE_BYTES_MAX)],
  [`the state has more than ${STATE_BYTES_MAX} bytes: the limit`, new Array(8_000).fill(0)],
])("S1, S2: refuses what no state can be: %s", ([message, given]) => {
  for (const take of [sealState, canonicalState, checkPlain]) {
    expect(() => take(given, "the state")).toThrow(message);
  }
});
