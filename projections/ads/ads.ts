/**
 * Advertising: which impressions were clicked, and by whom?
 *
 * Topic `ad-delivery` is keyed by impression. `impression-clicks` joins each impression with its clicks
 * within ten minutes, and gives those without one too: the material of click-through rates, whole and
 * exact, ten minutes after the fact.
 *
 * Topic `ad-users` is keyed by user. `click-segments` gives each click the segment that its user was in
 * at the time of the click, not the one that the user is in now.
 */
import { event, field, join, left, lookup, right, topic } from "../index.ts";

export const adDelivery = topic("ad-delivery", {
  schemas: ["./ads.proto"],
  types: ["ads.Impression", "ads.Click"],
  partitions: 4,
  maxOutOfOrderness: "30 seconds",
});

export const adUsers = topic("ad-users", {
  schemas: ["./ads.proto"],
  types: ["ads.Click", "ads.SegmentAssigned", "ads.SegmentCleared"],
  partitions: 4,
  maxOutOfOrderness: "30 seconds",
});

export const impressionClicks = join("impression-clicks", {
  description: "Impressions with their clicks within ten minutes, or without",
  source: adDelivery,
  left: { types: ["ads.Impression"] },
  right: { types: ["ads.Click"], where: field("automated").not() },
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
  source: adUsers,
  left: { types: ["ads.Click"], where: field("automated").not() },
  right: { types: ["ads.SegmentAssigned", "ads.SegmentCleared"] },
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
