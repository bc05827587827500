/** The projections that come with Tidemark: what runs in a folder that has none of its own. */
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { departuresByDestination, departuresByOrigin } from "../../projections/flights/flights.ts";
import { suspiciousLogins } from "../../projections/logins/logins.ts";
import { revenueByStore } from "../../projections/orders/orders.ts";
import { preferences } from "../../projections/preferences/preferences.ts";

export const shippedProjections: readonly ProjectionDefinition[] = [
  departuresByOrigin,
  departuresByDestination,
  revenueByStore,
  preferences,
  suspiciousLogins,
];
