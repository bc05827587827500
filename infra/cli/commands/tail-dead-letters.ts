/** `tidemark tail dlq`: dead letters, one a line. */
import { Effect, Stream } from "effect";
import { DeadLetter_Reason, type DeadLetter } from "../../../proto/gen/tidemark/v1/dead_letter.ts";
import type { LogUnavailable } from "../../../actors/ports/event-log.ts";
import type { Link } from "../../nats/link.ts";
import { followDeadLetters } from "../dead-letters.ts";
import { duration, time } from "../terminal/format.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface TailDeadLettersOptions {
  readonly fromStart: boolean;
  readonly keyPrefix: string;
  readonly limit: number | undefined;
  readonly json: boolean;
}

export const reasonName = (reason: DeadLetter_Reason): string =>
  (DeadLetter_Reason[reason] ?? "REASON_UNSPECIFIED").replace("REASON_", "").toLowerCase();

/** What happened to the event, in a few words. */
const explanation = (letter: DeadLetter): string => {
  if (letter.reason === DeadLetter_Reason.REASON_LATE) {
    const window =
      letter.window === undefined ? "" : ` for the window of ${time(letter.window.start)}`;
    return `${duration(letter.lateness)} too late${window}`;
  }
  return letter.error;
};

export const deadLetterLine = (letter: DeadLetter): string =>
  [
    time(letter.eventTime),
    reasonName(letter.reason).padEnd(7),
    letter.projection.padEnd(26),
    letter.eventKey.padEnd(12),
    letter.eventId.padEnd(16),
    explanation(letter),
  ]
    .join("  ")
    .trimEnd();

export const deadLetterJson = (letter: DeadLetter): string => {
  const { event, reason, ...rest } = letter;
  return JSON.stringify({ reason: reasonName(reason), ...rest, event: event.toString("base64") });
};

export const tailDeadLetters = (
  { fromStart, keyPrefix, limit, json }: TailDeadLettersOptions,
  link: Link,
  terminal: Terminal,
): Effect.Effect<number, LogUnavailable> =>
  followDeadLetters(link, fromStart ? "first" : "new").pipe(
    Stream.map(({ letter }) => letter),
    Stream.filter(({ eventKey }) => eventKey.startsWith(keyPrefix)),
    (letters) => (limit === undefined ? letters : Stream.take(letters, limit)),
    Stream.runForEach((letter) =>
      Effect.sync(() =>
        terminal.out.write(`${json ? deadLetterJson(letter) : deadLetterLine(letter)}\n`),
      ),
    ),
    Effect.as(0),
  );
