/** EventLog on JetStream: one stream a partition. */
import { Effect, Layer } from "effect";
import { EventLog, LogUnavailable } from "../../actors/ports/event-log.ts";
import type { LogBounds } from "../../actors/ports/event-log.ts";
import { AppendError } from "../../actors/ports/ingest-log.ts";
import { eventsStream } from "../../proto/subjects.ts";
import { Connection } from "./connection.ts";
import { LogMovedOn, makeAppender } from "./ingest-log.ts";
import { deleteMessage, storedMessage, streamInfo, unavailable } from "./jetstream-api.ts";
import { openReader } from "./pull-reader.ts";

export const natsEventLog: Layer.Layer<EventLog, never, Connection> = Layer.effect(
  EventLog,
  Effect.gen(function* () {
    const link = yield* Connection;
    const appender = yield* makeAppender(link);

    const bounds = (topic: string, partition: number): Effect.Effect<LogBounds, LogUnavailable> => {
      const stream = eventsStream(topic, partition);
      return streamInfo(link, stream).pipe(
        Effect.map(({ state }) => ({
          first: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
          last: state.last_seq,
        })),
        Effect.mapError(unavailable(stream)),
      );
    };

    const open = (topic: string, partition: number, fromSequence: number, compacted = false) =>
      openReader(link, {
        stream: eventsStream(topic, partition),
        filters: [],
        fromSequence,
        contiguous: compacted ? "compacted" : true,
      });

    const sequenceAt = Effect.fnUntraced(function* (
      topic: string,
      partition: number,
      time: number,
    ): Effect.fn.Return<number, LogUnavailable> {
      const stream = eventsStream(topic, partition);
      // Asked first: a record that comes meanwhile is younger than any time that was meant.
      const { last } = yield* bounds(topic, partition);
      const first = yield* storedMessage(link, stream, {
        next_by_subj: ">",
        start_time: new Date(time).toISOString(),
      }).pipe(Effect.mapError(unavailable(stream)));
      return first?.seq ?? last + 1;
    });

    const remove = Effect.fnUntraced(function* (
      topic: string,
      partition: number,
      sequences: readonly number[],
    ): Effect.fn.Return<void, LogUnavailable> {
      const stream = eventsStream(topic, partition);
      for (const seq of sequences) yield* deleteMessage(link, stream, seq);
    });

    const append = (topic: string, partition: number, data: Uint8Array, last?: number) =>
      Effect.tryPromise({
        try: () => appender.append(topic, partition, data, last),
        catch: (error) => {
          if (error instanceof LogMovedOn) return error;
          if (!(error instanceof AppendError)) throw error;
          const { message } = error.failure;
          return new LogUnavailable({ stream: eventsStream(topic, partition), message });
        },
      });

    const appendAfter = (topic: string, partition: number, data: Uint8Array, last: number) =>
      append(topic, partition, data, last).pipe(
        Effect.catchTag("LogMovedOn", () => Effect.undefined),
      );

    return EventLog.of({
      bounds,
      open,
      append: (topic, partition, data) =>
        append(topic, partition, data).pipe(Effect.catchTag("LogMovedOn", Effect.die)),
      appendAfter,
      sequenceAt,
      remove,
    });
  }),
);
