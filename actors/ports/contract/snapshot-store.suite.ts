/** What every SnapshotStore must do: S1 and S2 of the port. */
import { Context, Effect } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { SnapshotStore } from "../snapshot-store.ts";
import { bytesOf, sameBytes } from "./bytes.ts";
import { suiteRuntime } from "./suite-runtime.ts";

export class SnapshotStoreRig extends Context.Service<
  SnapshotStoreRig,
  {
    /** Flips one bit of what is stored under a name. */
    readonly flipBit: (name: string) => Effect.Effect<void>;
  }
>()("actors/ports/contract/SnapshotStoreRig") {}

const snapshot = (epoch: number, inputSequence: number, size = 1_000) => ({
  epoch,
  inputSequence,
  data: bytesOf(epoch * 1_000 + inputSequence, size),
});

export const snapshotStoreSuite = <E>(
  name: string,
  layer: Layer.Layer<SnapshotStore | SnapshotStoreRig, E>,
): void => {
  describe(`SnapshotStore: ${name}`, () => {
    const test = suiteRuntime(layer);

    test(
      "gives back what was saved, whatever its size",
      Effect.gen(function* () {
        const store = yield* SnapshotStore;
        const mebibyte = 1024 * 1024;
        for (const size of [0, 1, 1_000, 4 * mebibyte, 4 * mebibyte + 1, 20 * mebibyte + 7]) {
          const saved = snapshot(1, size, size);
          expect(yield* store.save("sizes.0", saved)).toBe(true);
          const loaded = yield* store.load("sizes.0");
          expect(loaded).toMatchObject({ epoch: 1, inputSequence: size });
          expect(sameBytes(loaded?.data ?? new Uint8Array(1), saved.data)).toBe(true);
        }
      }),
    );

    test(
      "an unknown name has no snapshot, and a removed one neither",
      Effect.gen(function* () {
        const store = yield* SnapshotStore;
        expect(yield* store.load("unknown.0")).toBeUndefined();
        yield* store.remove("unknown.0");
        yield* store.save("removed.0", snapshot(9, 9));
        yield* store.remove("removed.0");
        expect(yield* store.load("removed.0")).toBeUndefined();
        expect(yield* store.save("removed.0", snapshot(1, 1))).toBe(true);
      }),
    );

    test(
      "S1: a lower epoch is refused, and within an epoch a lower input sequence",
      Effect.gen(function* () {
        const store = yield* SnapshotStore;
        expect(yield* store.save("fence.0", snapshot(5, 100))).toBe(true);
        for (const older of [snapshot(4, 200), snapshot(5, 99), snapshot(4, 9_000, 9_000_000)]) {
          expect(yield* store.save("fence.0", older)).toBe(false);
          const loaded = yield* store.load("fence.0");
          expect(loaded).toMatchObject({ epoch: 5, inputSequence: 100 });
          expect(sameBytes(loaded?.data ?? new Uint8Array(), snapshot(5, 100).data)).toBe(true);
        }
        for (const newer of [snapshot(5, 100), snapshot(5, 101), snapshot(6, 3), snapshot(10, 2)]) {
          expect(yield* store.save("fence.0", newer)).toBe(true);
          expect(yield* store.load("fence.0")).toMatchObject({ epoch: newer.epoch });
        }
        expect(yield* store.save("fence.1", snapshot(1, 1))).toBe(true);
      }),
    );

    test(
      "S2: bytes whose checksum does not hold are no snapshot, and can be replaced",
      Effect.gen(function* () {
        const store = yield* SnapshotStore;
        const rig = yield* SnapshotStoreRig;
        for (const size of [0, 1_000, 9_000_000]) {
          yield* store.save("flipped.0", snapshot(2, size, size));
          yield* rig.flipBit("flipped.0");
          expect(yield* store.load("flipped.0")).toBeUndefined();
          expect(yield* store.save("flipped.0", snapshot(2, size + 1, size))).toBe(true);
          expect(yield* store.load("flipped.0")).toMatchObject({ inputSequence: size + 1 });
        }
      }),
    );
  });
};
