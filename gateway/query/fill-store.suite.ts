/**
 * A program: fills the store in a folder, transaction by transaction, and prints the number of each
 * that is stored. Whoever starts it kills it, or limits the size of its files; in that case it prints
 * what a full disk looked like.
 */
import { commitMessage, commitOf, entriesOf, HOUR, recordOf, updateOf } from "./commits.suite.ts";
import { ResultStore, StoreFailed } from "./result-store.ts";
import { positionOf } from "./result-view.ts";

export const ROWS_EACH = 2_000;

export const fillOnce = (store: ResultStore, number: number) => {
  const updates = Array.from({ length: ROWS_EACH }, (_, i) => updateOf(`k${i}`, number * HOUR, i));
  const record = recordOf(number, commitMessage(commitOf(number, updates)));
  const transaction = store.begin();
  for (const entry of entriesOf([record])) transaction.add(entry);
  return store.commit(transaction, positionOf(record));
};

const fill = async (store: ResultStore): Promise<{ number: number; failure: unknown }> => {
  for (let number = 1; ; number++) {
    try {
      await fillOnce(store, number);
      process.stdout.write(`${number}\n`);
    } catch (failure) {
      return { number, failure };
    }
  }
};

const folder = process.argv[2];
if (process.argv[1] === import.meta.filename && folder !== undefined) {
  const unhandled: string[] = [];
  process.on("unhandledRejection", (error) => unhandled.push(String(error)));
  const { store } = ResultStore.open(folder);
  const { number, failure } = await fill(store);
  const again = await fillOnce(store, number).catch((error: unknown) => error);
  await new Promise((resolve) => setImmediate(resolve));
  const failed = failure instanceof StoreFailed && again instanceof StoreFailed;
  process.stdout.write(JSON.stringify({ failed, message: String(failure), unhandled }));
  process.exit(0);
}
