/**
 * What cannot be put together from the parts of partitions, because it depends on the order of a key's
 * events or on the distances between them: such a projection needs all events of a key in one
 * partition.
 */
import { windowMerges } from "./check-window.ts";
import type { CheckedKind } from "./checked-kind.ts";
import type { WindowProjection } from "./definition.ts";
import type { ProjectionKind } from "./plan.ts";
import type { Mistakes } from "./reading.ts";

/** What it is that needs it, in words, and where that stands; undefined for what can be merged. */
export const requiresKeyLocality = (
  kind: ProjectionKind,
  definition: CheckedKind["definition"],
): { readonly path: string; readonly what: string } | undefined => {
  if (kind !== "window") return { path: "key", what: `a ${kind} needs` };
  const { kind: window } = (definition as WindowProjection).window ?? {};
  if (window === undefined || windowMerges(window)) return undefined;
  return { path: "window.kind", what: `${window} windows need` };
};

/** Of a projection that is grouped by something other than the event's key. */
export const checkKeyLocality = (
  kind: ProjectionKind,
  definition: CheckedKind["definition"],
  mistakes: Mistakes,
): void => {
  const needs = requiresKeyLocality(kind, definition);
  if (needs === undefined) return;
  mistakes.add(
    needs.path,
    `${needs.what} every event of a key in one partition: it cannot be merged from partials. ` +
      "Group by event.key, and publish the topic under that key",
  );
};
