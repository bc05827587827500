/**
 * How soon and how often a child is started again.
 *
 * R1. At most `restartsMax` restarts within any `windowMs`: a child that cannot live is given up
 *     instead of being started for ever.
 * R2. Each restart within the window waits twice as long as the one before, up to `backoffMaxMs`;
 *     after a quiet window the first is quick again.
 */
export interface RestartPolicy {
  readonly restartsMax: number;
  readonly windowMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

export const defaultRestartPolicy: RestartPolicy = {
  restartsMax: 10,
  windowMs: 60_000,
  backoffMinMs: 100,
  backoffMaxMs: 5_000,
};

export class RestartBudget {
  readonly #policy: RestartPolicy;
  #restartsAtMs: number[] = [];

  constructor(policy: RestartPolicy) {
    this.#policy = policy;
  }

  /** Takes one restart: how long to wait before it, or undefined if none is left. */
  take(nowMs: number): number | undefined {
    const { restartsMax, windowMs, backoffMinMs, backoffMaxMs } = this.#policy;
    this.#restartsAtMs = this.#restartsAtMs.filter((atMs) => nowMs - atMs < windowMs);
    const recent = this.#restartsAtMs.length;
    if (recent >= restartsMax) return undefined;
    this.#restartsAtMs.push(nowMs);
    return Math.min(backoffMinMs * 2 ** recent, backoffMaxMs);
  }
}
