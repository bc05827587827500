/** SnapshotStore in memory: S1 and S2 of the port, with planned faults. */
import { createHash } from "node:crypto";
import { Effect, Layer } from "effect";
import { SnapshotStore, SnapshotUnavailable } from "../../actors/ports/snapshot-store.ts";
import type { Snapshot } from "../../actors/ports/snapshot-store.ts";
import { Faults } from "./faults.ts";

interface Stored {
  readonly snapshot: Snapshot;
  readonly checksum: string;
}

const checksumOf = ({ epoch, inputSequence, data }: Snapshot): string =>
  createHash("sha256").update(`${epoch} ${inputSequence} `).update(data).digest("hex");

const isOlder = (left: Snapshot, right: Snapshot): boolean =>
  left.epoch < right.epoch ||
  (left.epoch === right.epoch && left.inputSequence < right.inputSequence);

const flipBit = (snapshot: Snapshot): Snapshot => {
  const data = Uint8Array.from(snapshot.data);
  if (data.length === 0) return { ...snapshot, inputSequence: snapshot.inputSequence + 1 };
  data[data.length >>> 1]! ^= 1;
  return { ...snapshot, data };
};

export const memorySnapshotStore: Layer.Layer<SnapshotStore, never, Faults> = Layer.effect(
  SnapshotStore,
  Effect.gen(function* () {
    const faults = yield* Faults;
    const snapshots = new Map<string, Stored>();
    const injected = () => new SnapshotUnavailable({ message: "injected fault" });

    const save = Effect.fnUntraced(function* (name: string, snapshot: Snapshot) {
      const fault = faults.take("snapshots.save", name);
      if (fault === "fail") return yield* injected();
      const stored = snapshots.get(name);
      if (stored !== undefined && isOlder(snapshot, stored.snapshot)) return false;
      const copy = { ...snapshot, data: Uint8Array.from(snapshot.data) };
      snapshots.set(name, { snapshot: copy, checksum: checksumOf(copy) });
      if (fault === "fail-stored") return yield* injected();
      return true;
    });

    const load = Effect.fnUntraced(function* (name: string) {
      const fault = faults.take("snapshots.load", name);
      if (fault === "fail") return yield* injected();
      const stored = snapshots.get(name);
      if (stored === undefined) return undefined;
      const snapshot = fault === "corrupt" ? flipBit(stored.snapshot) : stored.snapshot;
      return checksumOf(snapshot) === stored.checksum ? snapshot : undefined;
    });

    const remove = (name: string) =>
      Effect.sync(() => {
        snapshots.delete(name);
      });

    return SnapshotStore.of({ save, load, remove });
  }),
);
