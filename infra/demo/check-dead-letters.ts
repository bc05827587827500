/** Compares the DLQ with the set of late events: each must be there once for every projection. */
import { Effect, Stream } from "effect";
import { DeadLetter_Reason, type DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import { presentDeadLetters } from "../cli/dead-letters.ts";
import type { Link } from "../nats/link.ts";
import { lateEventId } from "./sending-plan.ts";

const DIFFERENCES_SHOWN = 5;

export interface DeadLetterCheck {
  /** Late events times projections. */
  readonly expected: number;
  readonly found: number;
  readonly missing: number;
  readonly unexpected: number;
  readonly differences: readonly string[];
}

export const compareDeadLetters = async (
  letters: AsyncIterable<Pick<DeadLetter, "eventId" | "projection" | "reason" | "error">>,
  lateEvents: number,
  projections: readonly string[],
): Promise<DeadLetterCheck> => {
  const place = (projection: string, id: string) => `${projection} ${id}`;
  const awaited = new Set<string>();
  for (const projection of projections) {
    for (let index = 0; index < lateEvents; index++)
      awaited.add(place(projection, lateEventId(index)));
  }
  const expected = awaited.size;
  let unexpected = 0;
  const differences: string[] = [];
  const note = (text: string) => {
    if (differences.length < DIFFERENCES_SHOWN) differences.push(text);
  };
  for await (const { eventId, projection, reason, error } of letters) {
    const late = reason === DeadLetter_Reason.REASON_LATE;
    if (late && awaited.delete(place(projection, eventId))) continue;
    unexpected++;
    note(`${place(projection, eventId)}: ${DeadLetter_Reason[reason]} ${error}`.trimEnd());
  }
  for (const missing of awaited) note(`${missing}: is not in the DLQ`);
  const missing = awaited.size;
  return { expected, found: expected - missing, missing, unexpected, differences };
};

export const checkDeadLetters = (
  link: Link,
  present: number,
  lateEvents: number,
  projections: readonly string[],
): Effect.Effect<DeadLetterCheck, LogUnavailable> =>
  Effect.promise(() =>
    compareDeadLetters(
      Stream.toAsyncIterable(present === 0 ? Stream.empty : presentDeadLetters(link)),
      lateEvents,
      projections,
    ),
  );
