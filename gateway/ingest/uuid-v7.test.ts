import { expect, it } from "vitest";
import { UUID_BYTES, UuidV7 } from "./uuid-v7.ts";

const next = (ids: UuidV7, wallMs: number): string => {
  const target = Buffer.alloc(UUID_BYTES + 2, "-");
  ids.write(target, 1, wallMs);
  expect(target[0]).toBe(45);
  expect(target[UUID_BYTES + 1]).toBe(45);
  return target.toString("latin1", 1, UUID_BYTES + 1);
};

it("writes the example of RFC 9562, A.6", () => {
  const random = Buffer.from("0cc318c4dc0c0c07398f", "hex");
  const ids = new UuidV7((bytes) => bytes.set(random));
  expect(next(ids, 0x017f22e279b0)).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  const text = new UuidV7((bytes) => bytes.set(random)).make(0x017f22e279b0);
  expect(text).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
});

it("makes ids that differ, and sort by time", () => {
  const ids = new UuidV7();
  const made = Array.from({ length: 2000 }, (_, i) => next(ids, 1_700_000_000_000 + i));
  expect(new Set(made).size).toBe(2000);
  expect(made.toSorted()).toEqual(made);
  const sameMoment = Array.from({ length: 2000 }, () => next(ids, 1_700_000_000_000));
  expect(new Set(sameMoment).size).toBe(2000);
});
