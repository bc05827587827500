/** `tidemark tail dlq`: dead letters, one a line. */
import { Effect, Stream } from "effect";
import { DeadLetter_Reason, type DeadLetter } from "../../../proto/gen/tidemark/v1/dead_letter.ts";
import type { LogUnavailable } from "../../../actors/ports/event-log.ts";
import type { Link } from "../../nats/link.ts";
import { payloadOf, type Payload, type ReaderOf } from "../dead-letter-payload.ts";
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

const DATA_SHOWN_MAX = 100;

const shownPayload = (payload: Payload): string => {
  const text = "data" in payload ? JSON.stringify(payload.data) : `0x${payload.raw}`;
  return text.length > DATA_SHOWN_MAX ? `${text.slice(0, DATA_SHOWN_MAX)}...` : text;
};

export const deadLetterLine = (letter: DeadLetter, payload: Payload): string =>
  [
    time(letter.eventTime),
    reasonName(letter.reason).padEnd(7),
    letter.projection.padEnd(26),
    letter.eventKey.padEnd(12),
    letter.eventId.padEnd(16),
    explanation(letter),
    shownPayload(payload),
  ]
    .join("  ")
    .trimEnd();

/** The payload as `data`, or as `raw`, hexadecimal, where its schema cannot read it. */
export const deadLetterJson = (letter: DeadLetter, payload: Payload): string => {
  const { event: _, reason, ...rest } = letter;
  return JSON.stringify({ reason: reasonName(reason), ...rest, ...payload });
};

export const tailDeadLetters = (
  { fromStart, keyPrefix, limit, json }: TailDeadLettersOptions,
  link: Link,
  readerOf: ReaderOf,
  terminal: Terminal,
): Effect.Effect<number, LogUnavailable> =>
  followDeadLetters(link, fromStart ? "first" : "new").pipe(
    Stream.map(({ letter }) => letter),
    Stream.filter(({ eventKey }) => eventKey.startsWith(keyPrefix)),
    (letters) => (limit === undefined ? letters : Stream.take(letters, limit)),
    Stream.runForEach((letter) =>
      Effect.sync(() => {
        const payload = payloadOf(letter, readerOf);
        const line = json ? deadLetterJson(letter, payload) : deadLetterLine(letter, payload);
        terminal.out.write(`${line}\n`);
      }),
    ),
    Effect.as(0),
  );
