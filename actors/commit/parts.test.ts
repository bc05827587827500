import { expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { PartAssembler, partOf } from "./parts.ts";

const EMPTY = Commit.decode(new Uint8Array(0));
const encoded = (changes: Partial<Commit>) => Commit.encode({ ...EMPTY, ...changes }).finish();

test("a part is read as the whole commit reads it, wherever its fields stand", () => {
  const columns = Array.from({ length: 40 }, (_, i) => `c${i}`);
  const fields = { epoch: 2 ** 40, number: 300, partIndex: 7, partCount: 900 };
  const payload = encoded({ columns, projection: "p", inputSequence: 5, watermark: -1 });
  expect(partOf(Buffer.concat([payload, encoded(fields)]))).toEqual(fields);
  expect(partOf(Buffer.concat([encoded(fields), payload]))).toEqual(fields);
});

/** What comes out as `number/index of count` goes in. */
const assembled = (parts: readonly (readonly [number: number, index: number, count: number])[]) => {
  const assembler = new PartAssembler<string>();
  return parts.map(([number, partIndex, partCount]) =>
    assembler.push(`${number}/${partIndex}`, { epoch: 1, number, partIndex, partCount }).join(" "),
  );
};

test("parts come out with the last of them, and not at all without it", () => {
  expect(
    assembled([
      [1, 0, 1],
      [2, 0, 3],
      [2, 1, 3],
      [2, 2, 3],
    ]),
  ).toEqual(["1/0", "", "", "2/0 2/1 2/2"]);
  // Torn after its second part, then committed again, in other parts.
  expect(
    assembled([
      [2, 0, 3],
      [2, 1, 3],
      [2, 0, 2],
      [2, 1, 2],
    ]),
  ).toEqual(["", "", "", "2/0 2/1"]);
  // First parts are missing: trimmed.
  expect(
    assembled([
      [5, 1, 3],
      [5, 2, 3],
      [6, 0, 1],
    ]),
  ).toEqual(["", "5/1 5/2", "6/0"]);
});
