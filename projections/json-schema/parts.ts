/** Parts of the JSON Schemas: sizes, durations and the like, as `reading.ts` reads them. */
import { BYTE_UNITS } from "../definition/byte-size.ts";
import type { ProjectionBase } from "../definition/definition.ts";
import { DURATION_UNITS } from "../definition/duration.ts";
import type { Range } from "../definition/reading.ts";

/** A JSON Schema, draft 2020-12. */
export type Schema = Readonly<Record<string, unknown>> | boolean;

export const DRAFT = "https://json-schema.org/draft/2020-12/schema";

/** Any case of each letter: schemas know no flags. */
const anyCase = (text: string): string =>
  text.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);

const alternatives = (names: readonly string[]): string => names.map(anyCase).join("|");

const DURATION_TEXT = `^\\s*(-?0|-?(\\s*\\d+(\\.\\d+)?\\s*(${alternatives(Object.keys(DURATION_UNITS))}))+)\\s*$`;
const BYTES_TEXT = `^\\s*\\d+(\\.\\d+)?\\s*(${alternatives(Object.keys(BYTE_UNITS))})?\\s*$`;

export const text: Schema = { type: "string" };

export const flag: Schema = { type: "boolean" };

export const whole = ({ min, max }: Range): Schema => ({
  type: "integer",
  minimum: min,
  maximum: max,
});

export const between = ({ min, max }: Range): Schema => ({
  type: "number",
  minimum: min,
  maximum: max,
});

/** Milliseconds or text. The range of a text is beyond what a schema can say. */
export const duration = (range: Range): Schema => ({
  anyOf: [whole(range), { type: "string", pattern: DURATION_TEXT }],
});

export const bytes = (range: Range): Schema => ({
  anyOf: [whole(range), { type: "string", pattern: BYTES_TEXT }],
});

/** Null is as if it were left out. */
export const optional = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });

export const described = (description: string, schema: Schema): Schema =>
  schema === true ? { description } : { description, ...(schema as object) };

/** An object with these keys and no others. */
export const object = (
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
): Schema => ({ type: "object", properties, required, additionalProperties: false });

/** What one kind of projection has beside what all have. */
export interface KindForm<P extends ProjectionBase = never> {
  readonly options: {
    readonly [Key in Exclude<keyof P, keyof ProjectionBase | "kind">]-?: Schema;
  } & Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  /** Its parts may name their topics, so that it need not; its rules say when. */
  readonly topicInParts?: true;
  /** Keywords for what holds only together. */
  readonly rules?: Readonly<Record<string, unknown>>;
}
