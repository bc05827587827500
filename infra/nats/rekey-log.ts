/** RekeyLog on JetStream: streams like those of any topic, under compare-and-set. */
import { Effect, Layer } from "effect";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { RekeyLog } from "../../actors/ports/rekey-log.ts";
import type { RekeyedTopic } from "../../actors/ports/rekey-log.ts";
import { RESULTS_STREAM, eventsStream, eventsSubject } from "../../proto/subjects.ts";
import { compareAndAppend } from "./compare-and-append.ts";
import { Connection } from "./connection.ts";
import { JS } from "./errors.ts";
import { request, storedMessage, streamInfo, unavailable } from "./jetstream-api.ts";
import { ensureRekeyed, rekeyedConfig } from "./provision.ts";

const upTo = (count: number): readonly number[] => [...Array(count).keys()];

export const natsRekeyLog: Layer.Layer<RekeyLog, never, Connection> = Layer.effect(
  RekeyLog,
  Effect.gen(function* () {
    const link = yield* Connection;

    const ensure = Effect.fnUntraced(function* (topic: RekeyedTopic) {
      // As many replicas as the results that its records come from.
      const { config } = yield* streamInfo(link, RESULTS_STREAM).pipe(
        Effect.mapError(unavailable(RESULTS_STREAM)),
      );
      for (const partition of upTo(topic.partitions)) {
        yield* ensureRekeyed(link, rekeyedConfig(topic, partition, config.num_replicas)).pipe(
          Effect.catchTag("StreamRefused", ({ stream, message }) =>
            Effect.fail(new LogUnavailable({ stream, message })),
          ),
        );
      }
    });

    const last = (topic: string, partition: number) => {
      const stream = eventsStream(topic, partition);
      return storedMessage(link, stream, { last_by_subj: eventsSubject(topic, partition) }).pipe(
        Effect.map((message) => message && { sequence: message.seq, data: message.data }),
        Effect.mapError(unavailable(stream)),
      );
    };

    const append = (topic: string, partition: number, data: Uint8Array, expected: number) => {
      const subject = eventsSubject(topic, partition);
      const stream = eventsStream(topic, partition);
      const messages = [{ subject, headers: [], data }];
      return compareAndAppend(link, { stream, subject, expected, messages });
    };

    const remove = (topic: string, partitions: number) =>
      Effect.forEach(
        upTo(partitions).map((partition) => eventsStream(topic, partition)),
        (stream) =>
          request(link, `$JS.API.STREAM.DELETE.${stream}`, undefined).pipe(
            Effect.catchIf(
              ({ code }) => code === JS.streamNotFound,
              () => Effect.void,
            ),
            Effect.mapError(unavailable(stream)),
          ),
        { discard: true },
      );

    return RekeyLog.of({ ensure, last, append, remove });
  }),
);
