/**
 * The time that the gateway needs, handed in by whoever wires it: nothing in `gateway/` reads a
 * clock of its own, so tests hold time still.
 */
export interface GatewayClock {
  /** Milliseconds since the Unix epoch, an integer: what ingest times are made of. */
  readonly wallMs: () => number;
  /** Milliseconds from any start, never going back: for measuring. */
  readonly monotonicMs: () => number;
  /** Runs `run` once after `delayMs`, unless the returned function is called before. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}
