/**
 * A retailer's orders: what does each store take a minute?
 *
 * Topic `orders`, keyed by order, so that events of one order stay in order; revenue groups by store,
 * hence merges partitions. Amounts are whole cents: their sums are exact.
 */
import { count, early, field, max, projection, sum, topic, tumbling } from "../index.ts";

export const orders = topic("orders", {
  schemas: ["./orders.proto"],
  types: ["orders.Paid", "orders.Refunded"],
  partitions: 8,
  maxOutOfOrderness: "30 seconds",
});

export const revenueByStore = projection("revenue-by-store", {
  description: "Payments of a store in a minute, in cents; without test orders",
  source: orders,
  types: ["orders.Paid"],
  where: field("test").not().and(field("amount").gt(0)),
  key: field("store"),
  window: tumbling("1 minute"),
  allowedLateness: "10 minutes",
  aggregates: {
    payments: count(),
    revenue: sum(field("amount")),
    items: sum(field("items")),
    largest: max(field("amount")),
  },
  emit: early({ every: "5 seconds" }),
});
