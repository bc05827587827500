/** What a Node child and its supervisor say to each other over the IPC channel. */
import { Schema } from "effect";

/** Sent once: the child serves. `about` is anything JSON can carry. */
const Ready = Schema.Struct({ tidemark: Schema.Literal("ready"), about: Schema.Unknown });
/** Sent before the child ends because it could not start. */
const Failed = Schema.Struct({ tidemark: Schema.Literal("failed"), reason: Schema.String });

export const ChildMessage = Schema.Union([Ready, Failed]);
export type ChildMessage = typeof ChildMessage.Type;

/** Undefined for a message that is not ours. */
export const decodeChildMessage = (message: unknown): ChildMessage | undefined => {
  const decoded = Schema.decodeUnknownOption(ChildMessage)(message);
  return decoded._tag === "Some" ? decoded.value : undefined;
};
