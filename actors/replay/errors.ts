/** What ends a replay. The live version is untouched by any of it. */
import { Schema } from "effect";

/** The version could not be built or compared; a new replay starts from the beginning. */
export class ReplayFailed extends Schema.TaggedError<ReplayFailed>()("ReplayFailed", {
  projection: Schema.String,
  version: Schema.Number,
  message: Schema.String,
}) {}

/** Somebody else promoted a version of the projection meanwhile. Look, and decide again. */
export class PromotedElsewhere extends Schema.TaggedError<PromotedElsewhere>()(
  "PromotedElsewhere",
  { projection: Schema.String, version: Schema.Number },
) {
  override get message(): string {
    return (
      `version ${this.version} of ${this.projection} was not promoted: ` +
      `another promotion happened while it was being built`
    );
  }
}
