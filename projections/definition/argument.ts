/** Reads the arguments of the makers of definitions. */
import { DefinitionError } from "../errors.ts";
import { Mistakes } from "./reading.ts";

/** Reads one argument; a mistake is thrown at once, where the user's stack still shows the call. */
export const argument = <T>(call: string, read: (mistakes: Mistakes) => T | undefined): T => {
  const mistakes = new Mistakes();
  const value = read(mistakes);
  if (value === undefined || mistakes.list.length > 0)
    throw new DefinitionError(call, mistakes.list);
  return value;
};
