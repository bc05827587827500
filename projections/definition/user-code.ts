/** What is said of users' functions when they fail: in dead letters, so short and without a stack. */

const ERROR_LENGTH_MAX = 500;

export const cut = (text: string): string =>
  text.length <= ERROR_LENGTH_MAX ? text : `${text.slice(0, ERROR_LENGTH_MAX)}...`;

/** What V8 says when something frozen is changed. */
const CHANGED = /read only property|not extensible|Cannot delete property/;
const FROZEN =
  ". What a function is given is frozen: return a new state, such as { ...state, n: state.n + 1 }";

/** "threw TypeError: x is not a function". Whatever was thrown, this does not. */
export const describeThrown = (error: unknown): string => {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const hint = error instanceof TypeError && CHANGED.test(text) ? FROZEN : "";
    return cut(`threw ${text}`) + hint;
  } catch {
    return "threw something that cannot be shown";
  }
};

/** A value as an error shows it. */
export const describeValue = (value: unknown): string => {
  try {
    if (typeof value === "string") return cut(JSON.stringify(value));
    if (typeof value === "function") return "a function";
    if (Array.isArray(value)) return value.length > 8 ? `a list of ${value.length}` : listOf(value);
    if (typeof value === "object" && value !== null) return "an object";
    return cut(String(value));
  } catch {
    return "something that cannot be shown";
  }
};

const listOf = (items: readonly unknown[]): string =>
  cut(`[${items.map(describeValue).join(", ")}]`);
