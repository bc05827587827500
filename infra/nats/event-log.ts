/** EventLog on JetStream: one stream a partition. */
import { Effect, Layer } from "effect";
import { EventLog, LogUnavailable } from "../../actors/ports/event-log.ts";
import type { LogBounds } from "../../actors/ports/event-log.ts";
import { AppendError } from "../../actors/ports/ingest-log.ts";
import { eventsStream } from "../../proto/subjects.ts";
import { Connection } from "./connection.ts";
import { LogMovedOn, makeAppender } from "./ingest-log.ts";
import { streamInfo, unavailable } from "./jetstream-api.ts";
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

    const open = (topic: string, partition: number, fromSequence: number) =>
      openReader(link, {
        stream: eventsStream(topic, partition),
        filters: [],
        fromSequence,
        contiguous: true,
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
    });
  }),
);
