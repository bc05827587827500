/**
 * What the store knows besides rows: how far RESULTS was read, each task's last commit, which versions
 * are active. Small, so it is held in memory and written with every transaction that changes it.
 *
 * Its rows share the database with the results' (tag 0x00 before 0x01), as text and JSON: they are
 * few, and readable with any LMDB tool.
 */

export interface TaskState {
  readonly partition: number;
  /** Number of its last commit that was read. */
  readonly number: number;
  /** Where that commit stands in RESULTS. */
  readonly sequence: number;
  /** Undefined while it is minus infinity. */
  readonly watermark: number | undefined;
  readonly idle: boolean;
}

export interface VersionState {
  readonly projection: string;
  readonly version: number;
  /** Rows that are not retracted. */
  readonly results: number;
  /** Commits that had left RESULTS before they were read, as far as they can be counted. */
  readonly missing: number;
  readonly tasks: ReadonlyMap<number, TaskState>;
}

export interface ActiveState {
  readonly projection: string;
  readonly version: number;
  /** Where the promotion stands in RESULTS. */
  readonly sequence: number;
}

/** The last record read: enough to tell whether another log is the same one. */
export interface PositionState {
  /** 0 before the first. */
  readonly sequence: number;
  readonly subject: string;
  readonly checksum: number;
}

export const START: PositionState = { sequence: 0, subject: "", checksum: 0 };

const STATE_TAG = "\0";

export const stateKey = (...path: readonly (string | number)[]): Buffer =>
  Buffer.from(STATE_TAG + path.join("/"), "utf8");

/** All rows of the state whose path begins with these parts and goes on. */
export const stateRange = (...path: readonly (string | number)[]) => ({
  start: stateKey(...path, ""),
  end: Buffer.concat([stateKey(...path, ""), Buffer.of(0xff)]),
});

export const toBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), "utf8");

export const fromBytes = <A>(bytes: Uint8Array): A =>
  JSON.parse(Buffer.from(bytes).toString("utf8")) as A;

export const versionName = (projection: string, version: number): string =>
  `${projection}/${version}`;

/**
 * The least watermark of the tasks that hold results back; of all of them when every one is idle.
 * Undefined while one is minus infinity.
 */
export const leastWatermark = (tasks: Iterable<TaskState>): number | undefined => {
  const all = [...tasks];
  const busy = all.filter((task) => !task.idle);
  const holding = busy.length > 0 ? busy : all.filter((task) => task.watermark !== undefined);
  if (holding.length === 0 || holding.some((task) => task.watermark === undefined)) {
    return undefined;
  }
  return Math.min(...holding.map((task) => task.watermark!));
};
