/**
 * Faults as data: which call of which port goes wrong, and how. A plan is a list, so a simulation can
 * draw one from a seed and print it when a run fails.
 *
 * F1. A fault is taken by the first calls that match it, after `skip` of them, `times` times.
 * F2. Without a matching fault a call behaves as the port promises.
 */
import { Context, Layer } from "effect";

/** Where a fault can strike. The name is matched as a prefix: stream, subject, target or snapshot. */
export type FaultPoint =
  | "events.append"
  | "events.open"
  | "events.next"
  | "events.remove"
  | "ingest.append"
  | "results.append"
  | "results.last"
  | "results.next"
  | "relay.publish"
  | "relay.cursor"
  | "rekey.append"
  | "rekey.last"
  | "snapshots.save"
  | "snapshots.load";

export type FaultKind =
  /** Nothing happened, and the caller is told that the log or store is unavailable. */
  | "fail"
  /** It happened, but the caller is told "unavailable": the deadline passed without an answer. */
  | "fail-stored"
  /** It happened, the answer was lost, and the adapter finds out by reading back. */
  | "lose-ack"
  /** `ingest.append` only: the stream is full. */
  | "full"
  /** `snapshots.load` only: a bit of the stored bytes has flipped. */
  | "corrupt";

export interface Fault {
  readonly at: FaultPoint;
  readonly kind: FaultKind;
  /** Prefix of the stream, subject, target or snapshot concerned; any when absent. */
  readonly name?: string;
  /** Matching calls that go well first; 0 when absent. */
  readonly skip?: number;
  /** Matching calls that go wrong; 1 when absent. */
  readonly times?: number;
}

export type FaultPlan = readonly Fault[];

interface Armed {
  readonly fault: Fault;
  skip: number;
  times: number;
}

export class FaultInjector {
  #armed: Armed[] = [];

  constructor(plan: FaultPlan = []) {
    this.add(plan);
  }

  add(plan: FaultPlan): void {
    for (const fault of plan) {
      this.#armed.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 });
    }
  }

  clear(): void {
    this.#armed = [];
  }

  /** Faults that have not struck as often as planned. */
  get remaining(): FaultPlan {
    return this.#armed.map(({ fault, skip, times }) => ({ ...fault, skip, times }));
  }

  /** What goes wrong with this call. */
  take(at: FaultPoint, name: string): FaultKind | undefined {
    for (const armed of this.#armed) {
      if (armed.fault.at !== at || !name.startsWith(armed.fault.name ?? "")) continue;
      if (armed.skip > 0) {
        armed.skip -= 1;
        continue;
      }
      armed.times -= 1;
      if (armed.times === 0) this.#armed = this.#armed.filter((other) => other !== armed);
      return armed.fault.kind;
    }
    return undefined;
  }
}

export class Faults extends Context.Service<Faults, FaultInjector>()("infra/memory/Faults") {
  static layer(plan: FaultPlan = []): Layer.Layer<Faults> {
    return Layer.sync(Faults, () => new FaultInjector(plan));
  }
}
