/** Checks what events are grouped by. */
import { checkExpression, printExpression, type Scope } from "./check-expression.ts";
import type { Expression } from "./expression.ts";
import type { Mistakes } from "./reading.ts";

export const checkKey = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): Expression | undefined => {
  const key = checkExpression(value, path, mistakes, scope);
  if (key?.type === "double") {
    mistakes.add(
      path,
      `cannot be a double, as ${printExpression(key.expression)} is: equal groups need equal ` +
        "keys. Group by a string, an integer or a boolean",
    );
  }
  return key?.expression;
};

export const isEventKey = (key: Expression): boolean => "event" in key && key.event === "key";
