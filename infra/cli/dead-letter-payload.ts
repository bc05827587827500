/**
 * The payload of a dead letter for people: JSON by the schema that its topic has now, or the bytes in
 * hexadecimal where that cannot read them, as of an event that is invalid.
 */
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";

export type Payload = { readonly data: unknown } | { readonly raw: string };

/** What it needs of the schemas of a topic. Throws what cannot be read. */
export interface PayloadReader {
  readonly toJson: (typeName: string, bytes: Uint8Array) => string;
}

export type ReaderOf = (topic: string) => PayloadReader | undefined;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export const payloadOf = (letter: DeadLetter, readerOf: ReaderOf): Payload => {
  let event: Event;
  try {
    event = Event.decode(letter.event);
  } catch {
    return { raw: hex(letter.event) };
  }
  const { data, type } = event;
  if (data?.$case !== "protobuf") return { raw: hex(letter.event) };
  try {
    const reader = readerOf(letter.topic);
    if (reader !== undefined)
      return { data: JSON.parse(reader.toJson(type, data.value)) as unknown };
  } catch {
    // Not by this schema.
  }
  return { raw: hex(data.value) };
};
