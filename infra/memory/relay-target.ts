/** RelayTarget in memory: T1 of the port, with planned faults. */
import { Effect, Layer } from "effect";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import type { OutgoingMessage, RelayCursor } from "../../actors/ports/relay-target.ts";
import { relayCursorSubject } from "../../proto/subjects.ts";
import { compareAndAppend } from "./compare-and-append.ts";
import { Faults } from "./faults.ts";
import { MemoryBroker } from "./memory-broker.ts";

const batchSizeMax = 999;

type StoredCursor = Omit<RelayCursor, "revision">;

const encodeCursor = ({ position, offset, epoch }: StoredCursor): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ position, offset, epoch }));

export const memoryRelayTarget: Layer.Layer<RelayTarget, never, MemoryBroker | Faults> =
  Layer.effect(
    RelayTarget,
    Effect.gen(function* () {
      const broker = yield* MemoryBroker;
      const faults = yield* Faults;

      const cursor = Effect.fnUntraced(function* (target: "projections" | "dlq") {
        const stream = broker.target(target);
        if (faults.take("relay.cursor", target) !== undefined) {
          return yield* new LogUnavailable({ stream: stream.name, message: "injected fault" });
        }
        const message = stream.lastOf(relayCursorSubject(target));
        if (message === undefined) return { position: 0, offset: 0, epoch: 0, revision: 0 };
        const stored = JSON.parse(new TextDecoder().decode(message.data)) as StoredCursor;
        return { ...stored, revision: message.sequence };
      });

      const publish = (
        target: "projections" | "dlq",
        messages: readonly OutgoingMessage[],
        cursor: RelayCursor,
      ) => {
        if (messages.length > batchSizeMax) {
          return Effect.die(new RangeError(`T1: ${messages.length} messages in one publish`));
        }
        const subject = relayCursorSubject(target);
        return compareAndAppend(faults, {
          stream: broker.target(target),
          messages: [...messages, { subject, data: encodeCursor(cursor) }],
          appendId: broker.nextAppendId(),
          subject,
          expected: cursor.revision,
          at: "relay.publish",
          name: target,
        });
      };

      return RelayTarget.of({ batchSizeMax, cursor, publish });
    }),
  );
