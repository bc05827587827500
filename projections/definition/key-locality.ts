/**
 * What cannot be put together from the parts of partitions, because it depends on the order of a group's
 * events or on the distances between them: such a projection needs all events of a group in one
 * partition. Grouped by something other than the event's key it is re-keyed: see `rekey.ts`.
 */
import { windowMerges } from "./check-window.ts";
import type { CheckedKind } from "./checked-kind.ts";
import type { WindowProjection } from "./definition.ts";
import type { ProjectionKind } from "./plan.ts";

export const requiresKeyLocality = (
  kind: ProjectionKind,
  definition: CheckedKind["definition"],
): boolean => kind !== "window" || !windowMerges((definition as WindowProjection).window.kind);
