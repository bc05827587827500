/**
 * `tidemark publish`: JSON lines from a file or stdin into a topic.
 *
 * Every event has an id before it is sent, so a batch whose outcome is unknown is sent again under
 * the same ids and counts once. Events that repeat an id of the input are told: the log takes them,
 * and the projections count the first one.
 */
import { createHash } from "node:crypto";
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
/** Of a longer input, ids beyond these are not remembered; the log knows them all. */
const SEEN_IDS_MAX = 1_000_000;

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
  /** In the log, those that repeat an id among them. */
  stored: number;
  quarantined: number;
  rejected: number;
  /** Repeat an id of this input, so that they do not count. */
  duplicate: number;
  /** Those of them that say something else than the first. */
  conflict: number;
}

/** The same text for the same data, whatever the order of its fields. */
const canonical = (json: string): string =>
  JSON.stringify(JSON.parse(json), (_key, value: unknown) =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );

/** Whether an event repeats an id of its partition, which its key decides. */
class SeenIds {
  readonly #seen = new Map<string, string>();

  see({ id, key, type, eventTime, data }: Event): "first" | "duplicate" | "conflict" {
    const name = JSON.stringify([key, id]);
    const said = JSON.stringify([type, eventTime, canonical(String(data?.value))]);
    const hash = createHash("md5").update(said).digest("base64");
    const first = this.#seen.get(name);
    if (first !== undefined) return first === hash ? "duplicate" : "conflict";
    if (this.#seen.size < SEEN_IDS_MAX) this.#seen.set(name, hash);
    return "first";
  }
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
  const outcome: Outcome = { stored: 0, quarantined: 0, rejected: 0, duplicate: 0, conflict: 0 };
  const ids = new SeenIds();
  /** `field`: "line" for the line as such. */
  const reject = (line: number, field: string, reason: string) => {
    outcome.rejected++;
    const what = field === "line" ? reason : `${field}: ${reason}`;
    terminal.err.write(`${terminal.err.paint("red", `line ${line}`)}: ${what}\n`);
  };

  const send = async (batch: readonly Numbered[]): Promise<void> => {
    let waiting = batch;
    for (let attempt = 1; waiting.length > 0; attempt++) {
      const events = waiting.map(({ event }) => event);
      const response = await client.publishBatch({ topic: options.topic, events });
      waiting = settle(waiting, response, outcome, reject, ids);
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
  ids: SeenIds,
): readonly Numbered[] => {
  const again: Numbered[] = [];
  const rejections = new Map(response.rejections.map((rejection) => [rejection.index, rejection]));
  for (const [index, numbered] of sent.entries()) {
    const rejection = rejections.get(index);
    switch (response.verdicts[index]) {
      case Verdict.VERDICT_STORED: {
        outcome.stored++;
        const sighting = ids.see(numbered.event);
        if (sighting !== "first") outcome.duplicate++;
        if (sighting === "conflict") outcome.conflict++;
        break;
      }
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

const summary = (
  topic: string,
  { stored, quarantined, rejected, duplicate, conflict }: Outcome,
): string => {
  const repeated = `${count(duplicate)} of them ${duplicate === 1 ? "repeats" : "repeat"} an id within this input`;
  const otherwise = conflict === 0 ? "" : `, ${count(conflict)} with other data`;
  const parts = [
    `${count(stored)} stored in ${topic}` +
      (duplicate === 0 ? "" : ` (${repeated}${otherwise}: an id counts once)`),
  ];
  if (quarantined > 0)
    parts.push(`${count(quarantined)} quarantined (their time is in the future)`);
  if (rejected > 0) parts.push(`${count(rejected)} rejected`);
  return `${parts.join(", ")}\n`;
};
