/** ResultLog in memory: R1 to R3 of the port, with planned faults. */
import { Clock, Effect, Layer } from "effect";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import type { ResultReader, ResultRecord } from "../../actors/ports/result-log.ts";
import { compareAndAppend } from "./compare-and-append.ts";
import { Faults } from "./faults.ts";
import { MemoryBroker, untilChanged, withinLimits } from "./memory-broker.ts";
import { subjectMatches } from "./memory-stream.ts";

export const memoryResultLog: Layer.Layer<ResultLog, never, MemoryBroker | Faults> = Layer.effect(
  ResultLog,
  Effect.gen(function* () {
    const broker = yield* MemoryBroker;
    const faults = yield* Faults;
    const stream = broker.results;
    const clock = yield* Clock.Clock;
    stream.now = () => clock.currentTimeMillisUnsafe();
    const injected = () => new LogUnavailable({ stream: stream.name, message: "injected fault" });

    const last = Effect.fnUntraced(function* (subject: string) {
      if (faults.take("results.last", subject) !== undefined) return yield* injected();
      const message = stream.lastOf(subject);
      if (message === undefined) return undefined;
      return { sequence: message.sequence, subject, data: message.data, pending: 0 };
    });

    const lastBefore = (subject: string, sequence: number) =>
      Effect.sync(() => {
        const message = stream.messages.findLast(
          (one) => one.subject === subject && one.sequence < sequence,
        );
        if (message === undefined) return undefined;
        return { sequence: message.sequence, subject, data: message.data, pending: 0 };
      });

    const append = (subject: string, parts: readonly Uint8Array[], expected: number) =>
      compareAndAppend(faults, {
        stream,
        messages: parts.map((data) => ({ subject, data })),
        appendId: broker.nextAppendId(),
        subject,
        expected,
        at: "results.append",
        name: subject,
      });

    const open = (filters: readonly string[], fromSequence: number) =>
      Effect.sync((): ResultReader => {
        let from = fromSequence;
        const matches = (subject: string) =>
          filters.some((filter) => subjectMatches(filter, subject));
        const next = Effect.gen(function* () {
          if (faults.take("results.next", stream.name) !== undefined) return yield* injected();
          for (;;) {
            const available = stream.from(from, matches);
            const records = withinLimits(available, broker.limits).map(
              ({ sequence, subject, data }, index): ResultRecord => ({
                sequence,
                subject,
                data,
                pending: available.length - 1 - index,
              }),
            );
            const newest = records.at(-1);
            if (newest !== undefined) {
              from = newest.sequence + 1;
              return records;
            }
            yield* untilChanged(stream);
          }
        });
        return { next };
      });

    const trim = (subject: string, sequence: number, before = Infinity) =>
      Effect.sync(() => {
        const newest = stream.lastOf(subject)?.sequence ?? 0;
        const young = stream.messages.find((one) => one.subject === subject && one.time >= before);
        const below = Math.min(sequence, young?.sequence ?? newest, newest);
        stream.deleteBelow(below, (other) => other === subject);
        return below < newest;
      });

    const lastSequence = Effect.sync(() => stream.lastSequence);
    return ResultLog.of({ last, lastBefore, append, open, lastSequence, trim });
  }),
);
