import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "./byte-writer.ts";

/** Lists within lists: how long the bytes between are decides how long their lengths are. */
interface Nested {
  readonly before: number;
  readonly inner: readonly Nested[];
}

const before = fc.oneof(fc.nat({ max: 130 }), fc.constantFrom(126, 127, 128, 16_382, 16_384));
const { nested } = fc.letrec<{ nested: Nested }>((tie) => ({
  nested: fc.oneof(
    { maxDepth: 4 },
    fc.record({ before, inner: fc.constant([]) }),
    fc.record({ before, inner: fc.array(tie("nested"), { maxLength: 3 }) }),
  ),
}));

const write = ({ before, inner }: Nested, out: ByteWriter): void => {
  const start = out.open();
  for (let i = 0; i < before; i++) out.byte(i & 255);
  for (const each of inner) write(each, out);
  out.close(start);
};

const model = ({ before, inner }: Nested): Uint8Array => {
  const content = [Uint8Array.from({ length: before }, (_, i) => i & 255), ...inner.map(model)];
  const out = new ByteWriter(1);
  out.varint(content.reduce((sum, { length }) => sum + length, 0));
  for (const each of content) out.raw(each);
  return out.finish();
};

test("what is opened and closed has its length in front, however long", () => {
  fc.assert(
    fc.property(nested, (given) => {
      const out = new ByteWriter(1);
      out.byte(7);
      write(given, out);
      out.byte(9);
      expect(Buffer.from(out.finish()).equals(Buffer.from([7, ...model(given), 9]))).toBe(true);
    }),
  );
});

test("text comes back as it was, long or short, a byte order mark in front of it too", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "z", "\ufeff", "\u00e9", "\u{1f600}"),
    maxLength: 60,
  });
  fc.assert(
    fc.property(text, (given) => {
      const out = new ByteWriter(1);
      out.text(given);
      expect(new ByteReader(out.finish()).text()).toBe(given);
    }),
  );
});
