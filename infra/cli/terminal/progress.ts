/**
 * How far a long command is: a bar that redraws itself on a terminal, a line every few seconds
 * elsewhere.
 */
import { count, duration } from "./format.ts";
import type { Output } from "./terminal.ts";

const REDRAW_MS = 100;
const LINE_MS = 5_000;
/** The rate is that of the last few seconds: it shows a stall, and an estimate follows it. */
const RATE_WINDOW_MS = 4_000;
const BAR_WIDTH = 28;

export interface ProgressOptions {
  readonly output: Output;
  readonly label: string;
  readonly unit: string;
  readonly total: number;
  /** Milliseconds, never going back. */
  readonly now: () => number;
}

export interface ProgressView {
  readonly label: string;
  readonly unit: string;
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
}

const bar = (share: number): string => {
  const eighths = Math.round(Math.min(1, share) * BAR_WIDTH * 8);
  const partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]!;
  return `${"█".repeat(eighths >> 3)}${partial}`.padEnd(BAR_WIDTH, "░");
};

export const renderProgress = (view: ProgressView, withBar: boolean): string => {
  const share = view.total === 0 ? 1 : view.done / view.total;
  const left = Math.max(0, view.total - view.done);
  const parts = [
    view.label,
    ...(withBar ? [bar(share)] : []),
    `${String(Math.floor(share * 100)).padStart(3)} %`,
    `${count(view.done)} of ${count(view.total)} ${view.unit}`,
    `${count(view.perSecond)} ${view.unit}/s`,
  ];
  if (left > 0 && view.perSecond > 0)
    parts.push(`ETA ${duration((left / view.perSecond) * 1_000)}`);
  return parts.join("  ");
};

export class Progress {
  readonly #options: ProgressOptions;
  readonly #samples: { readonly at: number; readonly done: number }[] = [];
  readonly #startedAt: number;
  #shownAt = -Infinity;
  #done = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    this.#samples.push({ at: this.#startedAt, done: 0 });
  }

  /** Cheap enough to call for every request. */
  update(done: number): void {
    this.#done = done;
    const now = this.#options.now();
    const { isTerminal } = this.#options.output;
    if (now - this.#shownAt < (isTerminal ? REDRAW_MS : LINE_MS)) return;
    // The first line elsewhere would say that nothing is done yet.
    if (this.#shownAt === -Infinity && !isTerminal) {
      this.#shownAt = now;
      return;
    }
    this.#shownAt = now;
    this.#samples.push({ at: now, done });
    while (this.#samples.length > 2 && this.#samples[1]!.at < now - RATE_WINDOW_MS) {
      this.#samples.shift();
    }
    this.#show(this.#rate(now));
  }

  /** Leaves the final state on the screen, with the mean rate. */
  finish(): void {
    const ms = this.#options.now() - this.#startedAt;
    this.#show(ms > 0 ? (this.#done / ms) * 1_000 : 0);
    if (this.#options.output.isTerminal) this.#options.output.write("\n");
  }

  /** Takes the bar off the screen, for a message in between; the next update draws it again. */
  clear(): void {
    if (this.#options.output.isTerminal) this.#options.output.write("\r\x1b[K");
  }

  #rate(now: number): number {
    const first = this.#samples[0]!;
    return now === first.at ? 0 : ((this.#done - first.done) / (now - first.at)) * 1_000;
  }

  #show(perSecond: number): void {
    const { output, label, unit, total } = this.#options;
    const view = { label, unit, done: this.#done, total, perSecond };
    if (output.isTerminal) {
      const withBar = output.columns >= 100;
      output.write(`\r${renderProgress(view, withBar).slice(0, output.columns - 1)}\x1b[K`);
    } else {
      output.write(`${renderProgress(view, false)}\n`);
    }
  }
}
