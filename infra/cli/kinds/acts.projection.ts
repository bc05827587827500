/** One projection of each kind over one topic: what the test of a whole system runs. */
import { assign, emit, setup } from "xstate";
import {
  aggregate,
  begin,
  calendar,
  count,
  custom,
  each,
  event,
  field,
  fold,
  join,
  left,
  pattern,
  projection,
  right,
  session,
  statechart,
  step,
  topic,
  tumbling,
} from "../../../projections/index.ts";
import type { FoldEvent } from "../../../projections/index.ts";

const acts = topic("acts", {
  schemas: ["./acts.proto"],
  types: ["acts.Seen", "acts.Bought", "acts.Heartbeat"],
  partitions: 2,
  maxOutOfOrderness: "10 seconds",
});
const source = acts;
const types = ["acts.Seen", "acts.Bought"] as const;

/** By page, which is not the event's key: re-keyed. */
export const visits = projection("visits", {
  source,
  types,
  key: field("page"),
  window: session({ gap: "1 minute" }),
  aggregates: { acts: count() },
});

export const days = projection("days", {
  source,
  types,
  window: calendar("day", { zone: "Europe/Berlin" }),
  aggregates: {
    acts: count(),
    longest: aggregate({
      inputs: { page: field("page") },
      init: () => 0,
      add: (longest: number, { page }) => Math.max(longest, String(page).length),
      merge: (a: number, b: number) => Math.max(a, b),
      result: (longest: number) => longest,
    }),
  },
});

const MINUTE_MS = 60_000;

export const minutes = projection("minutes", {
  source,
  types,
  window: custom({
    assign: (time) => {
      const start = Math.floor(time / MINUTE_MS) * MINUTE_MS;
      return [[start, start + MINUTE_MS]];
    },
  }),
  aggregates: { acts: count() },
});

export const spent = fold("spent", {
  source,
  types: ["acts.Bought"],
  state: () => ({ cents: 0n, pages: "" }),
  reduce: (state, { data }) => {
    if (data["page"] === "/poison") throw new Error("no such page");
    return {
      cents: state.cents + (data["cents"] as bigint),
      pages: `${state.pages}${String(data["page"])}`,
    };
  },
  values: {
    cents: { type: "integer", of: (state) => state.cents },
    pages: (state) => state.pages,
  },
  emit: each(),
});

const machine = setup({
  types: {
    context: {} as { readonly seen: number },
    events: {} as Omit<FoldEvent, "type"> & { readonly type: "acts.Seen" | "acts.Bought" },
  },
  actions: {
    look: assign({ seen: ({ context }) => context.seen + 1 }),
    wonder: emit(({ context }) => ({ type: "undecided", seen: context.seen })),
  },
}).createMachine({
  context: { seen: 0 },
  initial: "looking",
  states: {
    looking: {
      on: {
        "acts.Seen": { target: "looking", reenter: true, actions: "look" },
        "acts.Bought": "done",
      },
      after: { 120_000: { target: "gone", actions: "wonder" } },
    },
    gone: { type: "final" },
    done: { type: "final" },
  },
});

export const undecided = statechart("undecided", { source, types, machine });

export const twice = pattern("twice", {
  source,
  types,
  pattern: begin("first", event.type.eq("acts.Seen"))
    .followedBy("second", event.type.eq("acts.Bought"))
    .within("1 minute"),
  values: { first: step("first").field("page"), second: step("second").field("page") },
});

export const conversions = join("conversions", {
  source,
  left: { types: ["acts.Seen"] },
  right: { types: ["acts.Bought"] },
  on: left.field("page").eq(right.field("page")),
  within: { after: "1 minute" },
  mode: "left",
  values: { page: left.field("page"), cents: right.field("cents") },
});

/** What is bought, with how much was done in the last minute that was over by then. */
export const purchases = join("purchases", {
  source,
  left: { types: ["acts.Bought"] },
  right: { source: minutes },
  asOf: {},
  mode: "left",
  values: { page: left.field("page"), acts: right.field("acts") },
});

/** What is bought, with what had been spent before. */
export const customers = join("customers", {
  source,
  left: { types: ["acts.Bought"] },
  right: { source: spent },
  asOf: {},
  mode: "left",
  values: { page: left.field("page"), before: right.field("cents") },
});

/** By page: merged from the partials of both partitions. */
const pages = projection("pages", {
  source,
  types,
  key: field("page"),
  window: tumbling("1 minute"),
  aggregates: { acts: count() },
});

/** The same of what everybody did on the page. */
export const popular = join("popular", {
  source,
  left: { types: ["acts.Bought"], key: field("page") },
  right: { source: pages },
  asOf: {},
  mode: "left",
  values: { acts: right.field("acts") },
});
