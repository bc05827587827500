/** What can go wrong with a supervised child. */
import { Schema } from "effect";

/** It ended, failed or stayed silent before it was ready. */
export class ChildStartFailed extends Schema.TaggedError<ChildStartFailed>()("ChildStartFailed", {
  child: Schema.String,
  detail: Schema.String,
}) {
  override get message(): string {
    return `${this.child} did not start: ${this.detail}`;
  }
}

/** It kept dying, and was given up. */
export class ChildGaveUp extends Schema.TaggedError<ChildGaveUp>()("ChildGaveUp", {
  child: Schema.String,
  restarts: Schema.Int,
  windowMs: Schema.Int,
  lastReason: Schema.String,
}) {
  override get message(): string {
    return (
      `${this.child} ended ${this.restarts + 1} times within ${this.windowMs / 1000} s and was given up ` +
      `(last: ${this.lastReason}). Its log says why.`
    );
  }
}
