/**
 * Partials of a projection's windows as events: what the first stage of a table that is merged passes on (decision 026).
 *
 * P1. Which events count is decided in the partition, once, as for the projection itself; what passes is what its
 *     merging task would read.
 */
import { Partial } from "../../proto/gen/tidemark/v1/commit.ts";
import { watermarkBefore } from "./output-routing-core.ts";
import type { RoutedOutput } from "./output-routing-core.ts";

const PARTIAL_TYPE = "partial";

export const PARTIALS: RoutedOutput<Partial> = {
  itemsOf: ({ partials }) => partials,
  watermarkOf: watermarkBefore,
  eventOf: (partial) => ({
    id: "",
    type: PARTIAL_TYPE,
    key: partial.key,
    eventTime: partial.windowStart,
    data: { $case: "protobuf", value: Buffer.from(Partial.encode(partial).finish()) },
  }),
};
