/**
 * Advertising: which impressions were clicked, and by whom?
 *
 * Three teams, three topics: the ad server shows, the browser clicks, the data team segments. What they
 * share is not how their topics are keyed. `impression-clicks` joins each impression with its clicks within
 * ten minutes, and gives those without one too: the material of click-through rates, whole and
 * exact, ten minutes after the fact. `click-segments` gives each click the segment that its user was in
 * at the time of the click, not the one that the user is in now.
 */
import { event, field, join, left, lookup, right, topic } from "../index.ts";

const SCHEMAS = ["./ads.proto"];

/** Keyed by impression. */
export const adImpressions = topic("ad-impressions", {
  schemas: SCHEMAS,
  types: ["ads.Impression"],
  partitions: 4,
  maxOutOfOrderness: "10 seconds",
});

/** Keyed by user. Browsers report when they can. */
export const adClicks = topic("ad-clicks", {
  schemas: SCHEMAS,
  types: ["ads.Click"],
  partitions: 2,
  maxOutOfOrderness: "1 minute",
});

/** Keyed by user. */
export const adSegments = topic("ad-segments", {
  schemas: SCHEMAS,
  types: ["ads.SegmentAssigned", "ads.SegmentCleared"],
  partitions: 2,
  maxOutOfOrderness: "30 seconds",
});

export const impressionClicks = join("impression-clicks", {
  description: "Impressions with their clicks within ten minutes, or without",
  left: { source: adImpressions },
  right: { source: adClicks, key: field("impression"), where: field("automated").not() },
  within: { after: "10 minutes" },
  mode: "left",
  values: {
    campaign: left.field("campaign"),
    user: left.field("user"),
    costMicros: left.field("cost_micros"),
    clicked: right.event.id.isNotNull(),
    msToClick: right.event.time.subtract(left.event.time),
  },
});

/** What advertisers call the segments. */
const SEGMENTS = {
  commuter: { label: "On the way to work", tier: 1 },
  gamer: { label: "Plays in the evening", tier: 2 },
};

export const clickSegments = join("click-segments", {
  description: "Clicks with the segment of their user as of the click",
  left: { source: adClicks, where: field("automated").not() },
  right: { source: adSegments },
  asOf: { deleted: event.type.eq("ads.SegmentCleared"), ttl: "90 days" },
  mode: "left",
  values: {
    campaign: left.field("campaign"),
    impression: left.field("impression"),
    segment: right.field("segment"),
    label: lookup(SEGMENTS, right.field("segment")).field("label"),
    segmentAgeMs: left.event.time.subtract(right.event.time),
  },
});
