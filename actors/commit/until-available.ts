/**
 * What an outage of the log costs: time. Retries a step for as long as the log cannot be reached,
 * with delays from 50 ms that double up to 5 s.
 *
 * U1. An outage is warned of once a step, however often it is tried.
 * U2. Only LogUnavailable is retried: every other failure and each defect passes through at once.
 */
import { Effect, Schedule } from "effect";
import { LogUnavailable } from "../ports/event-log.ts";

const DELAYS = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]);

export const untilAvailable = <A, E, R>(
  step: Effect.Effect<A, E, R>,
): Effect.Effect<A, Exclude<E, LogUnavailable>, R> =>
  Effect.suspend(() => {
    let warned = false;
    const say = (error: LogUnavailable): Effect.Effect<void> => {
      const log = warned ? Effect.logDebug : Effect.logWarning;
      warned = true;
      return log(`the log cannot be reached, trying again: ${error.message}`).pipe(
        Effect.annotateLogs({ stream: error.stream }),
      );
    };
    return step.pipe(
      Effect.tapError((error) => (error instanceof LogUnavailable ? say(error) : Effect.void)),
      Effect.retry({ schedule: DELAYS, while: (error) => error instanceof LogUnavailable }),
    );
  }) as Effect.Effect<A, Exclude<E, LogUnavailable>, R>;
