/** What the live keys of an ordered projection hold. */
import { expect, test } from "vitest";
import { KeyTable } from "../kernel/key-table.ts";
import { KeyedStates } from "./keyed-states.ts";

const statesOf = () =>
  new KeyedStates<number>(new KeyTable(), {
    writeState: (state, out) => out.double(state),
    readState: (from) => from.double(),
  });

const born = (states: KeyedStates<number>, name: string) => {
  const key = new TextEncoder().encode(name);
  const record = states.add(states.keys.intern(key, 0, key.length), 1, 0, 0);
  states.markUnpublished(record);
  states.mark(record);
  return record;
};

test("S3: a key that was forgotten leaves nothing behind, though nobody asked what had changed", () => {
  const states = statesOf();
  born(states, "stays");
  for (let life = 0; life < 100; life++) states.forget(born(states, `k${life % 3}`));
  expect([states.size, states.keys.size, states.unpublished]).toEqual([1, 1, 1]);
});

test("changes are handed over once, in the order in which they came", () => {
  const states = statesOf();
  const [a, b, c] = ["a", "b", "c"].map((name) => born(states, name));
  states.forget(b!);
  states.markUnpublished(a!);
  expect(states.takeUnpublished()).toEqual([a, c]);
  expect(states.takeUnpublished()).toEqual([]);
  states.markUnpublished(c!);
  states.markUnpublished(a!);
  expect(states.takeUnpublished()).toEqual([c, a]);
});
