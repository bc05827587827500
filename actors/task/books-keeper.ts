/**
 * How the events of a partition were accounted for (SEMANTICS E7).
 *
 * The books balance: events = counted + late + duplicate + future + invalid + filtered + poison.
 */
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

const ACCOUNTS = [
  "events",
  "counted",
  "late",
  "duplicate",
  "conflict",
  "future",
  "invalid",
  "filtered",
  "poison",
] as const;

export const writeBooks = (books: Books, out: ByteWriter): void => {
  for (const account of ACCOUNTS) out.double(books[account]);
};

export const readBooks = (from: ByteReader): Books => {
  const books = emptyBooks();
  for (const account of ACCOUNTS) books[account] = from.double();
  return books;
};

export const emptyBooks = (): Books => ({
  events: 0,
  counted: 0,
  late: 0,
  duplicate: 0,
  conflict: 0,
  future: 0,
  invalid: 0,
  filtered: 0,
  poison: 0,
});

/** What is missing from, or too much in, the accounts: 0 when they balance. */
export const imbalance = (books: Books): number =>
  books.events -
  (books.counted +
    books.late +
    books.duplicate +
    books.future +
    books.invalid +
    books.filtered +
    books.poison);
