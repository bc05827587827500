/** Where a worker shows what it does, for `/status`: read at any time, by anyone in the process. */
import type { RelayStatus } from "../relay/relay.ts";
import type { TaskStatus } from "../task/task-status.ts";

export interface WorkerStatus {
  readonly index: number;
  readonly workers: number;
  readonly tasks: readonly TaskStatus[];
  readonly relays: readonly RelayStatus[];
}

export class StatusBoard {
  #read: (() => WorkerStatus) | undefined;

  /** Undefined before the worker has started. */
  get status(): WorkerStatus | undefined {
    return this.#read?.();
  }

  /** The worker's side. */
  show(read: () => WorkerStatus): void {
    this.#read = read;
  }
}
