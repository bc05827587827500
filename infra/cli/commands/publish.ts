/**
 * `tidemark publish`: JSON lines from a file or stdin into a topic.
 *
 * Every event has an id before it is sent, so a batch whose outcome is unknown is sent again under
 * the same ids and counts once.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Event } from "../../../proto/gen/tidemark/v1/event.ts";
import { Verdict, type PublishBatchResponse } from "../../../proto/gen/tidemark/v1/ingest.ts";
import { CliError, EXIT_FAILED } from "../cli-error.ts";
import { parseEventLine } from "../event-line.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { count } from "../terminal/format.ts";
import type { Terminal } from "../terminal/terminal.ts";

const BATCH_EVENTS = 500;
const BATCH_BYTES = 512 * 1024;
const ATTEMPTS = 20;
const RETRY_MS = 500;

export interface PublishOptions {
  readonly topic: string;
  readonly type: string | undefined;
  /** Path, or "-" for stdin. */
  readonly file: string;
  readonly json: boolean;
}

export interface PublishDependencies {
  readonly client: Pick<GatewayClient, "publishBatch" | "address">;
  readonly terminal: Terminal;
  readonly makeId: () => string;
  readonly sleep: (ms: number) => Promise<void>;
  readonly stdin: NodeJS.ReadableStream;
}

interface Numbered {
  readonly line: number;
  readonly event: Event;
}

interface Outcome {
  stored: number;
  quarantined: number;
  rejected: number;
}

const openInput = async (file: string, stdin: NodeJS.ReadableStream) => {
  if (file === "-") return stdin;
  const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${file} cannot be read: ${error.code ?? error.message}`, {
      hint: "Give the path of a file of JSON lines, or - for stdin.",
    });
  });
  if (info.isDirectory()) throw new CliError(`${file} is a folder, not a file of JSON lines`);
  return createReadStream(file);
};

export const publish = async (
  options: PublishOptions,
  { client, terminal, makeId, sleep, stdin }: PublishDependencies,
): Promise<number> => {
  const outcome: Outcome = { stored: 0, quarantined: 0, rejected: 0 };
  const reject = (line: number, field: string, reason: string) => {
    outcome.rejected++;
    terminal.err.write(`${terminal.err.paint("red", `line ${line}`)}: ${field}: ${reason}\n`);
  };

  const send = async (batch: readonly Numbered[]): Promise<void> => {
    let waiting = batch;
    for (let attempt = 1; waiting.length > 0; attempt++) {
      const events = waiting.map(({ event }) => event);
      const response = await client.publishBatch({ topic: options.topic, events });
      waiting = settle(waiting, response, outcome, reject);
      if (waiting.length === 0) return;
      if (attempt === ATTEMPTS) {
        throw new CliError(
          `the log has not taken ${count(waiting.length)} events, ` +
            `the first of them from line ${waiting[0]!.line}: ${reasonOf(response)}`,
          { hint: "See `tidemark status` and `tidemark doctor`; sending the rest again is safe." },
        );
      }
      await sleep(RETRY_MS);
    }
  };

  let batch: Numbered[] = [];
  let bytes = 0;
  let line = 0;
  const input = await openInput(options.file, stdin);
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    line++;
    if (text.trim() === "") continue;
    const parsed = parseEventLine(text, { type: options.type, makeId });
    if (!("event" in parsed)) {
      reject(line, parsed.field, parsed.reason);
      continue;
    }
    batch.push({ line, event: parsed.event });
    bytes += text.length;
    if (batch.length >= BATCH_EVENTS || bytes >= BATCH_BYTES) {
      await send(batch);
      batch = [];
      bytes = 0;
    }
  }
  await send(batch);
  terminal.out.write(
    options.json ? `${JSON.stringify(outcome)}\n` : summary(options.topic, outcome),
  );
  return outcome.rejected === 0 ? 0 : EXIT_FAILED;
};

/** Counts what is settled and returns what must be sent again. */
const settle = (
  sent: readonly Numbered[],
  response: PublishBatchResponse,
  outcome: Outcome,
  reject: (line: number, field: string, reason: string) => void,
): readonly Numbered[] => {
  const again: Numbered[] = [];
  const rejections = new Map(response.rejections.map((rejection) => [rejection.index, rejection]));
  for (const [index, numbered] of sent.entries()) {
    const rejection = rejections.get(index);
    switch (response.verdicts[index]) {
      case Verdict.VERDICT_STORED:
        outcome.stored++;
        break;
      case Verdict.VERDICT_QUARANTINED:
        outcome.quarantined++;
        break;
      case Verdict.VERDICT_INVALID:
        reject(numbered.line, rejection?.field ?? "event", rejection?.reason ?? "is not valid");
        break;
      default:
        again.push(numbered);
    }
  }
  return again;
};

const reasonOf = (response: PublishBatchResponse): string =>
  response.rejections.find(({ verdict }) => verdict === Verdict.VERDICT_UNAVAILABLE)?.reason ??
  "no reason was given";

const summary = (topic: string, { stored, quarantined, rejected }: Outcome): string => {
  const parts = [`${count(stored)} stored in ${topic}`];
  if (quarantined > 0)
    parts.push(`${count(quarantined)} quarantined (their time is in the future)`);
  if (rejected > 0) parts.push(`${count(rejected)} rejected`);
  return `${parts.join(", ")}\n`;
};
