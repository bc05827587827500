/** ResultLog on JetStream: the RESULTS stream. */
import { Effect, Layer } from "effect";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import type { ResultRecord } from "../../actors/ports/result-log.ts";
import { RESULTS_STREAM } from "../../proto/subjects.ts";
import { compareAndAppend } from "./compare-and-append.ts";
import { Connection } from "./connection.ts";
import { purge, storedMessage, streamInfo, unavailable } from "./jetstream-api.ts";
import type { StoredMessage } from "./jetstream-api.ts";
import type { Link } from "./link.ts";
import { openReader } from "./pull-reader.ts";

const toUnavailable = unavailable(RESULTS_STREAM);

const recordOf = (message: StoredMessage | undefined): ResultRecord | undefined =>
  message && { sequence: message.seq, subject: message.subject, data: message.data, pending: 0 };

/** Reads of single messages of RESULTS, with the failures of the server. */
export const resultReads = (link: Link) => {
  const nextOf = (subject: string, from: number) =>
    storedMessage(link, RESULTS_STREAM, { next_by_subj: subject, seq: from });
  /** The server finds the next message of a subject only: so steps back double until there is one. */
  const lastBefore = Effect.fnUntraced(function* (subject: string, sequence: number) {
    let from = sequence;
    let found: StoredMessage | undefined;
    for (let back = 1; from > 1 && found === undefined; back *= 2) {
      from = Math.max(1, sequence - back);
      const next: StoredMessage | undefined = yield* nextOf(subject, from);
      if (next !== undefined && next.seq < sequence) found = next;
    }
    while (found !== undefined) {
      const next: StoredMessage | undefined = yield* nextOf(subject, found.seq + 1);
      if (next === undefined || next.seq >= sequence) break;
      found = next;
    }
    return recordOf(found);
  });
  const last = (subject: string) =>
    Effect.map(storedMessage(link, RESULTS_STREAM, { last_by_subj: subject }), recordOf);
  return { last, lastBefore };
};

export const natsResultLog: Layer.Layer<ResultLog, never, Connection> = Layer.effect(
  ResultLog,
  Effect.gen(function* () {
    const link = yield* Connection;
    const stored = (subject: string) =>
      storedMessage(link, RESULTS_STREAM, { last_by_subj: subject });
    const reads = resultReads(link);
    const last = (subject: string) => reads.last(subject).pipe(Effect.mapError(toUnavailable));
    const lastBefore = (subject: string, sequence: number) =>
      reads.lastBefore(subject, sequence).pipe(Effect.mapError(toUnavailable));

    const append = (subject: string, parts: readonly Uint8Array[], expected: number) =>
      compareAndAppend(link, {
        stream: RESULTS_STREAM,
        subject,
        expected,
        messages: parts.map((data) => ({ subject, headers: [], data })),
      });

    const open = Effect.fnUntraced(function* (filters: readonly string[], fromSequence: number) {
      const reader = yield* openReader(link, {
        stream: RESULTS_STREAM,
        filters,
        fromSequence,
        contiguous: false,
      }).pipe(Effect.catchTag("LogGap", Effect.die));
      return { next: reader.next.pipe(Effect.catchTag("LogGap", Effect.die)) };
    });

    const lastSequence: Effect.Effect<number, LogUnavailable> = streamInfo(
      link,
      RESULTS_STREAM,
    ).pipe(
      Effect.map(({ state }) => state.last_seq),
      Effect.mapError(toUnavailable),
    );

    // The server would take a subject's last message too, and with it the compare-and-set's base.
    const trim = Effect.fnUntraced(
      function* (subject: string, sequence: number, before?: number) {
        const newest = yield* stored(subject);
        if (newest === undefined) return false;
        // The first one that is to stay. A purge below it costs nothing when there is none.
        const young =
          before === undefined
            ? undefined
            : yield* storedMessage(link, RESULTS_STREAM, {
                next_by_subj: subject,
                start_time: new Date(before).toISOString(),
              });
        const keepFrom = before === undefined ? sequence : (young?.seq ?? newest.seq);
        const seq = Math.min(sequence, keepFrom, newest.seq);
        yield* purge(link, RESULTS_STREAM, { filter: subject, seq });
        return seq < newest.seq;
      },
      Effect.catchTag("ApiFailure", (failure) => Effect.fail(toUnavailable(failure))),
    );

    return ResultLog.of({ last, lastBefore, append, open, lastSequence, trim });
  }),
);
