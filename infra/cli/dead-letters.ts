/** Reads the DLQ stream: what it holds now, or what comes, for ever. */
import { Effect, Stream } from "effect";
import type { LogGap, LogUnavailable } from "../../actors/ports/event-log.ts";
import { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { DLQ_STREAM } from "../../proto/subjects.ts";
import { streamInfo, unavailable } from "../nats/jetstream-api.ts";
import type { Link } from "../nats/link.ts";
import { openReader } from "../nats/pull-reader.ts";

export interface StoredDeadLetter {
  readonly letter: DeadLetter;
  /** How many are behind it. */
  readonly pending: number;
}

/** The DLQ is trimmed by age, so sequences have gaps, and the reader does not look for them. */
const withoutGap = <A, R>(
  effect: Effect.Effect<A, LogUnavailable | LogGap, R>,
): Effect.Effect<A, LogUnavailable, R> => Effect.catchTag(effect, "LogGap", Effect.die);

export const followDeadLetters = (
  link: Link,
  from: "first" | "new",
): Stream.Stream<StoredDeadLetter, LogUnavailable> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { state } = yield* streamInfo(link, DLQ_STREAM).pipe(
        Effect.mapError(unavailable(DLQ_STREAM)),
      );
      const reader = yield* withoutGap(
        openReader(link, {
          stream: DLQ_STREAM,
          filters: ["dlq.>"],
          fromSequence: from === "first" ? 1 : state.last_seq + 1,
          contiguous: false,
        }),
      );
      return Stream.fromEffectRepeat(withoutGap(reader.next)).pipe(
        Stream.flatMap(Stream.fromIterable),
        Stream.map(({ data, pending }) => ({ letter: DeadLetter.decode(data), pending })),
      );
    }),
  );

/** All that are there now; there must be one, or this waits for it. */
export const presentDeadLetters = (link: Link): Stream.Stream<DeadLetter, LogUnavailable> =>
  followDeadLetters(link, "first").pipe(
    Stream.takeUntil(({ pending }) => pending === 0),
    Stream.map(({ letter }) => letter),
  );
