import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Commit, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { MalformedCommit, readCommitFrame, UpdateHead } from "./commit-frame.ts";
import { arbitraryCommit } from "./arbitrary-commit.suite.ts";

const signed = (high: number, low: number): number => high * 4_294_967_296 + low;

describe("F1: a frame agrees with the generated decoder", () => {
  it("on every commit", () => {
    fc.assert(
      fc.property(arbitraryCommit, (commit) => {
        const data = Commit.encode(commit).finish();
        const frame = readCommitFrame(data);
        const { projection, version, partition, number, partIndex, watermark, idle, columns } =
          Commit.decode(data);
        expect(frame).toMatchObject({
          projection,
          version,
          partition,
          number,
          partIndex,
          partCount: Math.max(1, commit.partCount),
          watermark,
          idle,
          columns,
        });
        expect(frame.updates.length).toBe(commit.updates.length * 2);
        const head = new UpdateHead();
        commit.updates.forEach((update, i) => {
          const [start, end] = [frame.updates[2 * i]!, frame.updates[2 * i + 1]!];
          head.read(data, start, end);
          const key = Buffer.from(data.subarray(head.keyStart, head.keyEnd)).toString("utf8");
          const { kind, revision, ordinal } = update;
          expect([key, head.kind, head.revision, head.ordinal]).toEqual([
            update.key,
            kind,
            revision,
            ordinal,
          ]);
          expect(signed(head.startHigh, head.startLow)).toBe(update.windowStart);
          expect(signed(head.endHigh, head.endLow)).toBe(update.windowEnd);
          expect(Update.decode(data.subarray(start, end))).toEqual(update);
        });
      }),
    );
  });
});

describe("F2: malformed bytes", () => {
  it("throw, wherever a commit is cut, unless the cut is between fields", () => {
    fc.assert(
      fc.property(arbitraryCommit, fc.nat(), (commit, cut) => {
        const data = Commit.encode(commit).finish();
        const part = data.subarray(0, data.length === 0 ? 0 : cut % data.length);
        const outcome = (read: () => unknown) => {
          try {
            read();
            return "read";
          } catch {
            return "thrown";
          }
        };
        expect(outcome(() => readCommitFrame(part))).toBe(outcome(() => Commit.decode(part)));
      }),
    );
  });

  it("throw MalformedCommit", () => {
    const lengthPastTheEnd = Uint8Array.of(0xaa, 0x01, 0x05, 0x00);
    const updateThatBreaksOff = Uint8Array.of(0xaa, 0x01, 0x03, 0x0a, 0x05, 0x41);
    expect(() => readCommitFrame(lengthPastTheEnd)).toThrow(MalformedCommit);
    expect(() => readCommitFrame(updateThatBreaksOff)).toThrow(MalformedCommit);
  });
});
