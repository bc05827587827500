/**
 * How many bytes the server may send ahead, shared by the readers of one connection.
 *
 * A server cuts off a client that lets more than its `max_pending` (64 MiB by default) pile up. It
 * counts what it is writing until all of that is written, so while the client asks for more, up to
 * twice the budget is pending.
 */
const totalBytes = 24 * 1024 * 1024;
const windowBytesMax = 6 * 1024 * 1024;
const windowBytesMin = 256 * 1024;

export class DeliveryBudget {
  #readers = 0;

  join(): void {
    this.#readers += 1;
  }

  leave(): void {
    this.#readers -= 1;
  }

  /** What one reader may have under way, and again as much unread. */
  get windowBytes(): number {
    const share = Math.floor(totalBytes / Math.max(1, this.#readers));
    return Math.max(windowBytesMin, Math.min(windowBytesMax, share));
  }
}
