/**
 * Appends under compare-and-set, with the port's rule for outcomes that are not known: read back and
 * recognise one's own message, by the call that wrote it and not by its bytes. Two owners that start
 * at once write the same bytes.
 */
import { Effect } from "effect";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { Fenced } from "../../actors/ports/result-log.ts";
import type { FaultInjector, FaultPoint } from "./faults.ts";
import type { MemoryStream, NewMessage } from "./memory-stream.ts";

export interface CompareAndAppend {
  readonly stream: MemoryStream;
  readonly messages: readonly NewMessage[];
  readonly appendId: number;
  readonly subject: string;
  readonly expected: number;
  readonly at: FaultPoint;
  /** What a fault must name to strike here. */
  readonly name: string;
}

export const compareAndAppend = (
  faults: FaultInjector,
  { stream, messages, appendId, subject, expected, at, name }: CompareAndAppend,
): Effect.Effect<number, LogUnavailable | Fenced> =>
  Effect.gen(function* () {
    const unavailable = (message: string) => new LogUnavailable({ stream: stream.name, message });
    const fault = faults.take(at, name);
    if (fault === "fail") return yield* unavailable("injected fault");
    const outcome = stream.append(messages, appendId, { subject, expected });
    if (outcome.kind === "full") return yield* unavailable("the stream is full");
    if (fault === "fail-stored") return yield* unavailable("injected fault");
    if (outcome.kind === "stored" && fault !== "lose-ack") return outcome.last;
    const last = stream.lastOf(subject);
    if (last?.appendId === appendId) return last.sequence;
    return yield* new Fenced({ subject, expected });
  });
