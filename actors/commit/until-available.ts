/**
 * What an outage of the log costs: time. Retries a step for as long as the log cannot be reached,
 * with delays from 50 ms that double up to 5 s.
 *
 * U1. Only LogUnavailable is retried: every other failure and each defect passes through at once.
 */
import { Effect, Schedule } from "effect";
import { LogUnavailable } from "../ports/event-log.ts";

const DELAYS = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]);

export const untilAvailable = <A, E, R>(
  step: Effect.Effect<A, E, R>,
): Effect.Effect<A, Exclude<E, LogUnavailable>, R> =>
  step.pipe(
    Effect.tapError((error) =>
      error instanceof LogUnavailable
        ? Effect.logWarning(`the log cannot be reached, trying again: ${error.message}`).pipe(
            Effect.annotateLogs({ stream: error.stream }),
          )
        : Effect.void,
    ),
    Effect.retry({ schedule: DELAYS, while: (error) => error instanceof LogUnavailable }),
  ) as Effect.Effect<A, Exclude<E, LogUnavailable>, R>;
