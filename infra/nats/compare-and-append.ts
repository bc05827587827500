/**
 * Appends under compare-and-set on one subject: one message as it is, several as an atomic batch.
 *
 * A1. Every append carries an id of its own. Whatever is not a plain success is settled by reading the
 *     subject's last message: with this id, it was stored; at the expected sequence, nothing was, and
 *     it may be sent again; otherwise the subject belongs to another owner. Bytes prove nothing here:
 *     two owners that start at once write the same.
 * A2. An attempt that the server still has under way when the next one is sent does no harm: at most
 *     one of them finds the expected sequence.
 * A3. Message ids are not used: the server answers a repeated id before it checks the sequence.
 *
 * Within a batch the server accepts the expected sequence only on the first message of a subject.
 */
import { Effect } from "effect";
import { nuid } from "nats";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { Fenced } from "../../actors/ports/result-log.ts";
import { judge } from "./errors.ts";
import { headerBlock } from "./header-block.ts";
import type { PublishAnswer } from "./ingest-log.ts";
import { parseJson, storedMessage, unavailable } from "./jetstream-api.ts";
import type { Link } from "./link.ts";
import type { Reply } from "./reply-inbox.ts";

export interface BatchMessage {
  readonly subject: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
}

export interface CompareAndAppend {
  readonly stream: string;
  /** The subject that is compared. The last message is on it. */
  readonly subject: string;
  readonly expected: number;
  readonly messages: readonly BatchMessage[];
}

/** Most messages of one atomic batch. */
export const batchMessagesMax = 1_000;

const appendIdHeader = "Tidemark-Append";
const withinMs = 30_000;
const attemptMs = 5_000;
const retryDelayMinMs = 10;
const retryDelayMaxMs = 1_000;

interface Attempt {
  readonly kind: "stored" | "refused" | "unsettled";
  readonly sequence: number;
  readonly problem: string;
}

const read = (reply: Reply): Attempt => {
  if (reply.kind === "lost") return { kind: "unsettled", sequence: 0, problem: reply.reason };
  const answer = parseJson(reply.data) as PublishAnswer;
  if (answer.error === undefined) return { kind: "stored", sequence: answer.seq, problem: "" };
  const kind = judge(answer.error) === "refused" ? "refused" : "unsettled";
  const problem = `${answer.error.description} (${answer.error.err_code})`;
  return { kind, sequence: 0, problem };
};

/** Sends it once and gives what the server says. */
const attempt = (link: Link, append: CompareAndAppend, id: string): Effect.Effect<Attempt> =>
  Effect.callback<Attempt>((resume) => {
    const { messages, subject, expected } = append;
    const batchId = messages.length > 1 ? nuid.next() : undefined;
    const compared = messages.findIndex((message) => message.subject === subject);
    for (const [index, message] of messages.entries()) {
      const isLast = index === messages.length - 1;
      const headers: [string, string | number][] = message.headers.map(([name, value]) => [
        name,
        value,
      ]);
      if (batchId !== undefined) {
        headers.push(["Nats-Batch-Id", batchId], ["Nats-Batch-Sequence", index + 1]);
      }
      if (index === compared) headers.push(["Nats-Expected-Last-Subject-Sequence", expected]);
      if (!isLast) {
        link.publish(message.subject, message.data, headerBlock(headers));
        continue;
      }
      headers.push([appendIdHeader, id]);
      if (batchId !== undefined) headers.push(["Nats-Batch-Commit", 1]);
      const request = {
        subject: message.subject,
        data: message.data,
        headers: headerBlock(headers),
      };
      const cancel = link.ask(request, attemptMs, (reply) => resume(Effect.succeed(read(reply))));
      return Effect.sync(cancel);
    }
    return Effect.void;
  });

/** One append; its effect may be run again, and stays this append (A1). */
export const compareAndAppend = (
  link: Link,
  append: CompareAndAppend,
): Effect.Effect<number, LogUnavailable | Fenced> => {
  const { stream, subject, expected, messages } = append;
  if (messages.length === 0 || messages.length > batchMessagesMax) {
    const what = `${messages.length} messages for ${subject} in one append: 1 to ${batchMessagesMax}`;
    return Effect.die(new RangeError(what));
  }
  const id = nuid.next();
  let problem = "no connection";
  const failed = (message: string) =>
    new LogUnavailable({ stream, message: `${subject}: ${message}` });

  const settle = Effect.gen(function* () {
    const last = yield* storedMessage(link, stream, { last_by_subj: subject }, { withinMs }).pipe(
      Effect.mapError(unavailable(stream)),
    );
    if (last?.headers.includes(`\r\n${appendIdHeader}: ${id}\r\n`)) return last.seq;
    if ((last?.seq ?? 0) === expected) return undefined;
    return yield* new Fenced({ subject, expected });
  });

  return Effect.gen(function* () {
    let delayMs = retryDelayMinMs;
    for (;;) {
      yield* link.whenConnected;
      const outcome = yield* attempt(link, append, id);
      if (outcome.kind === "stored") return outcome.sequence;
      if (outcome.kind === "refused") return yield* failed(outcome.problem);
      problem = outcome.problem;
      const settled = yield* settle;
      if (settled !== undefined) return settled;
      yield* Effect.sleep(delayMs);
      delayMs = Math.min(retryDelayMaxMs, delayMs * 2);
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: withinMs,
      orElse: () => Effect.fail(failed(`not acknowledged within ${withinMs} ms (${problem})`)),
    }),
  );
};
