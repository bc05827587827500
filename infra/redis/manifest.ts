/**
 * What is stored beside a snapshot's bytes: one line of text, sealed, so that a damaged one counts as
 * none. Redis checks the seal too (`scripts.ts`): it must not refuse a save because of a flipped bit.
 */
import { createHash } from "node:crypto";

export interface Manifest {
  readonly epoch: number;
  readonly inputSequence: number;
  /** Names the chunks that belong together. */
  readonly id: string;
  readonly chunks: number;
  readonly bytes: number;
  /** SHA-256 of the whole, in hexadecimal. */
  readonly checksum: string;
}

const pattern = /^(\d+) (\d+) ([\w-]+) (\d+) (\d+) ([0-9a-f]{64})$/;

/** The seal is SHA-1, the one digest that Redis offers its scripts. */
const seal = (body: string): string => createHash("sha1").update(body).digest("hex");

export const encodeManifest = (manifest: Manifest): string => {
  const { epoch, inputSequence, id, chunks, bytes, checksum } = manifest;
  const body = `${epoch} ${inputSequence} ${id} ${chunks} ${bytes} ${checksum}`;
  return `${body} ${seal(body)}`;
};

/** Undefined when it is not what was written. */
export const decodeManifest = (line: string): Manifest | undefined => {
  const end = line.lastIndexOf(" ");
  const body = line.slice(0, Math.max(0, end));
  const fields = pattern.exec(body);
  if (fields === null || seal(body) !== line.slice(end + 1)) return undefined;
  const [, epoch, inputSequence, id = "", chunks, bytes, checksum = ""] = fields;
  return {
    epoch: Number(epoch),
    inputSequence: Number(inputSequence),
    id,
    chunks: Number(chunks),
    bytes: Number(bytes),
    checksum,
  };
};
