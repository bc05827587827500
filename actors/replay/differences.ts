/**
 * What subscribers must be told when a version becomes the active one: how its table of results differs
 * from that of the version before.
 *
 * D1. Both tables come by key, window and ordinal, so they are read once, side by side. What is kept is
 *     what differs, and of that no more than a promotion may hold: beyond, nothing is told but that.
 * D2. A retraction has revision 0 of the new version: it outranks every revision of the old one, and any
 *     update of the new one outranks it.
 * D3. The old version's table may move while it is read. What moves is settled by the relay, which knows
 *     all that was committed after `comparedAt` (decision 012).
 */
import { Promotion, type Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind, type Result } from "../../proto/gen/tidemark/v1/result.ts";
import { DRAFT_FRAGMENT_BYTES_MAX } from "../task/task-core.ts";
import { Cursor, order, sameValues } from "./compare-results.ts";

/** A promotion is one atomic append: its parts are bounded by what one takes. */
const PARTS_MAX = 64;

export interface Differences {
  readonly comparedAt: number;
  /** Fragments of Promotion messages: columns and updates. */
  readonly fragments: readonly Uint8Array[];
  readonly changed: number;
  readonly retracted: number;
}

export interface TooManyDifferences {
  readonly limitBytes: number;
}

const updateOf = (result: Result): Update => ({
  key: result.key,
  windowStart: result.window?.start ?? 0,
  windowEnd: result.window?.end ?? 0,
  ordinal: result.ordinal,
  kind: result.kind,
  revision: result.revision,
  watermark: result.watermark,
  partition: result.position?.partition ?? 0,
  sequence: result.position?.sequence ?? 0,
  index: result.position?.index ?? 0,
  values: result.values.map(({ value }) => value ?? { kind: undefined }),
});

/** Of a window that the new version does not have (D2). */
export const retractionOf = (update: Update): Update => ({
  ...update,
  kind: Kind.KIND_RETRACTION,
  revision: 0,
  values: [],
});

const sameRow = (left: Result, right: Result): boolean =>
  left.kind === right.kind && sameValues(left.values, right.values);

/** Only the fields that a promotion shares with a commit, under the same numbers. */
const encode = (columns: readonly string[], updates: readonly Update[]): Uint8Array =>
  Promotion.encode({ ...EMPTY, columns: [...columns], updates: [...updates] }).finish();

const EMPTY = Promotion.decode(new Uint8Array(0));

class Fragments {
  readonly done: Uint8Array[] = [];
  #columns: readonly string[] = [];
  #updates: Update[] = [];
  #bytes = 0;

  add(update: Update, columns: readonly string[]): void {
    if (update.kind !== Kind.KIND_RETRACTION) this.#columns = columns;
    const bytes = encode([], [update]).byteLength;
    if (this.#bytes + bytes > DRAFT_FRAGMENT_BYTES_MAX) this.cut();
    this.#bytes += bytes;
    this.#updates.push(update);
  }

  cut(): void {
    if (this.#updates.length === 0) return;
    this.done.push(encode(this.#columns, this.#updates));
    this.#updates = [];
    this.#bytes = 0;
  }
}

/** `comparedAt`: a sequence of RESULTS that both tables include. */
export const findDifferences = async (
  previous: AsyncIterable<Result>,
  next: AsyncIterable<Result>,
  comparedAt: number,
  partsMax = PARTS_MAX,
): Promise<Differences | TooManyDifferences> => {
  const left = new Cursor(previous);
  const right = new Cursor(next);
  const fragments = new Fragments();
  let changed = 0;
  let retracted = 0;
  const publish = (result: Result) => {
    changed++;
    fragments.add(
      updateOf(result),
      result.values.map(({ name }) => name),
    );
  };
  const retract = (result: Result) => {
    retracted++;
    fragments.add(retractionOf(updateOf(result)), []);
  };
  await left.next();
  await right.next();
  while (left.current !== undefined || right.current !== undefined) {
    const a = left.current;
    const b = right.current;
    const at = a === undefined ? 1 : b === undefined ? -1 : order(a, b);
    if (a !== undefined && at <= 0) {
      if (at < 0) retract(a);
      await left.next();
    }
    if (b !== undefined && at >= 0) {
      if (at > 0 || !sameRow(a!, b)) publish(b);
      await right.next();
    }
    if (fragments.done.length > partsMax) {
      return { limitBytes: partsMax * DRAFT_FRAGMENT_BYTES_MAX };
    }
  }
  fragments.cut();
  return { comparedAt, fragments: fragments.done, changed, retracted };
};
