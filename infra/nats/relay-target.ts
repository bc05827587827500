/**
 * RelayTarget on JetStream: PROJECTIONS and DLQ. The cursor is the last message of each atomic batch,
 * on a subject of the stream that the batch fills.
 */
import { Effect, Layer } from "effect";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import type { OutgoingMessage, RelayCursor } from "../../actors/ports/relay-target.ts";
import { DLQ_STREAM, PROJECTIONS_STREAM, relayCursorSubject } from "../../proto/subjects.ts";
import { batchMessagesMax, compareAndAppend } from "./compare-and-append.ts";
import { Connection } from "./connection.ts";
import { storedMessage, unavailable } from "./jetstream-api.ts";

export type Target = "projections" | "dlq";

export const targetStream = (target: Target): string =>
  target === "projections" ? PROJECTIONS_STREAM : DLQ_STREAM;

/** What a cursor message holds: its revision is its own sequence. */
type StoredCursor = Omit<RelayCursor, "revision">;

const encode = ({ position, offset, epoch }: StoredCursor): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ position, offset, epoch }));

const decode = (data: Uint8Array): StoredCursor => {
  const { position, offset, epoch } = JSON.parse(new TextDecoder().decode(data)) as StoredCursor;
  return { position, offset, epoch };
};

export const natsRelayTarget: Layer.Layer<RelayTarget, never, Connection> = Layer.effect(
  RelayTarget,
  Effect.gen(function* () {
    const link = yield* Connection;
    const batchSizeMax = batchMessagesMax - 1;

    const cursor = (target: Target): Effect.Effect<RelayCursor, LogUnavailable> => {
      const stream = targetStream(target);
      return storedMessage(link, stream, { last_by_subj: relayCursorSubject(target) }).pipe(
        Effect.map((message) =>
          message === undefined
            ? { position: 0, offset: 0, epoch: 0, revision: 0 }
            : { ...decode(message.data), revision: message.seq },
        ),
        Effect.mapError(unavailable(stream)),
      );
    };

    const publish = (target: Target, messages: readonly OutgoingMessage[], cursor: RelayCursor) => {
      const subject = relayCursorSubject(target);
      return compareAndAppend(link, {
        stream: targetStream(target),
        subject,
        expected: cursor.revision,
        messages: [...messages, { subject, headers: [], data: encode(cursor) }],
      });
    };

    return RelayTarget.of({ batchSizeMax, cursor, publish });
  }),
);
