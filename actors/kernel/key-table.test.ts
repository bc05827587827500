import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTable } from "./key-table.ts";

const encode = (key: string) => new TextEncoder().encode(key);

test("a key table is a reference-counted map from bytes to ids", () => {
  const command = fc.record({ key: fc.nat(700), release: fc.integer({ min: 0, max: 9 }) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 3000 }), (commands) => {
      const table = new KeyTable();
      const model = new Map<string, { id: number; references: number }>();
      for (const { key: number, release } of commands) {
        const key = `${"k".repeat(number % 40)}${number}`;
        const known = model.get(key);
        if (release > 5 && known !== undefined) {
          table.release(known.id);
          if (--known.references === 0) model.delete(key);
          continue;
        }
        const bytes = encode(key);
        const id = table.intern(bytes, 0, bytes.length);
        if (known === undefined) {
          for (const other of model.values()) expect(id).not.toBe(other.id);
          model.set(key, { id, references: 1 });
        } else {
          expect(id).toBe(known.id);
          known.references++;
        }
        table.retain(id);
      }
      expect(table.size).toBe(model.size);
      for (const [key, { id }] of model) {
        expect(Buffer.from(table.bytesOf(id)).toString()).toBe(key);
        const bytes = encode(key);
        expect(table.intern(bytes, 0, bytes.length)).toBe(id);
      }
    }),
    { numRuns: 30 },
  );
});

test("many keys come and go without the table growing for ever", () => {
  const table = new KeyTable();
  for (let round = 0; round < 50; round++) {
    const ids: number[] = [];
    for (let i = 0; i < 1000; i++) {
      const bytes = encode(`round-${round}-key-${i}`);
      const id = table.intern(bytes, 0, bytes.length);
      table.retain(id);
      ids.push(id);
    }
    expect(Math.max(...ids)).toBeLessThan(1000);
    for (const id of ids) table.release(id);
  }
  expect(table.size).toBe(0);
});
