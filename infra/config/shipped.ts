/** The projections that come with Tidemark: what runs in a folder that has none of its own. */
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { clickSegments, impressionClicks } from "../../projections/ads/ads.ts";
import { departuresByDestination, departuresByOrigin } from "../../projections/flights/flights.ts";
import { suspiciousLogins } from "../../projections/logins/logins.ts";
import { revenueByStore } from "../../projections/orders/orders.ts";
import { clicksAndFavourites, preferences } from "../../projections/preferences/preferences.ts";

export const shippedProjections: readonly ProjectionDefinition[] = [
  departuresByOrigin,
  departuresByDestination,
  revenueByStore,
  preferences,
  suspiciousLogins,
];

/** They come along, too, and run where they are asked for: a case may name them. */
export const exampleProjections: readonly ProjectionDefinition[] = [
  ...shippedProjections,
  impressionClicks,
  clickSegments,
  clicksAndFavourites,
];
