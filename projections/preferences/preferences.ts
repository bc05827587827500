/**
 * What does each user like? A model for recommendations: how much a user is drawn to categories and brands,
 * in which range of prices, and what was seen, sought and bought last.
 *
 * An interest fades: it halves every week of event time, so the model of an hour ago and of today differ
 * even without events in between. After half a year without any it is forgotten.
 */
import { early, fold, join, left, right, topic } from "../index.ts";
import type { FoldEvent } from "../index.ts";

export const shopping = topic("shopping", {
  schemas: ["./preferences.proto"],
  types: ["shopping.Viewed", "shopping.Clicked", "shopping.Purchased", "shopping.Searched"],
  partitions: 4,
  maxOutOfOrderness: "5 seconds",
});

/** How much an act says about an interest. */
const WEIGHTS = { viewed: 1, searched: 2, clicked: 3, purchased: 10 } as const;

const HALF_LIFE_MS = 7 * 86_400_000;
/** Of categories and of brands: the strongest are kept. */
const INTERESTS_MAX = 20;
const RECENT_MAX = 10;

interface Interest {
  readonly name: string;
  /** At the time of the last event. */
  readonly affinity: number;
}

interface Preferences {
  readonly categories: readonly Interest[];
  readonly brands: readonly Interest[];
  readonly prices: { readonly min: bigint; readonly max: bigint } | null;
  readonly viewed: readonly string[];
  readonly searches: readonly string[];
  readonly purchases: readonly string[];
  readonly updated: number;
}

interface Product {
  readonly product: string;
  readonly category: string;
  readonly brand: string;
  readonly price?: bigint;
}

/**
 * What is left of 1 after so long: exactly a half for each half-life, and straight between them. Only
 * operations that give the same bits on every machine: powers need not.
 */
const fading = (elapsedMs: number): number => {
  let left = 1;
  let rest = elapsedMs;
  for (; rest >= HALF_LIFE_MS && left > 0; rest -= HALF_LIFE_MS) left /= 2;
  return left === 0 ? 0 : left * (1 - rest / HALF_LIFE_MS / 2);
};

/** The strongest first; of equals the one that was there before. */
const strengthened = (
  interests: readonly Interest[],
  name: string,
  weight: number,
): readonly Interest[] => {
  if (name === "") return interests;
  const before = interests.find((each) => each.name === name)?.affinity ?? 0;
  return [...interests.filter((each) => each.name !== name), { name, affinity: before + weight }]
    .sort((a, b) => b.affinity - a.affinity)
    .slice(0, INTERESTS_MAX);
};

const faded = (interests: readonly Interest[], left: number): readonly Interest[] =>
  interests.map(({ name, affinity }) => ({ name, affinity: affinity * left }));

/** The newest first, each once. */
const remembered = (recent: readonly string[], what: string): readonly string[] =>
  what === "" ? recent : [what, ...recent.filter((each) => each !== what)].slice(0, RECENT_MAX);

const drawnTo = (
  state: Preferences,
  { category, brand, price }: Product,
  weight: number,
): Preferences => ({
  ...state,
  categories: strengthened(state.categories, category, weight),
  brands: strengthened(state.brands, brand, weight),
  prices: price === undefined || price === 0n ? state.prices : widened(state.prices, price),
});

const widened = (prices: Preferences["prices"], price: bigint): Preferences["prices"] =>
  prices === null
    ? { min: price, max: price }
    : {
        min: price < prices.min ? price : prices.min,
        max: price > prices.max ? price : prices.max,
      };

const reduce = (before: Preferences, { type, time, data }: FoldEvent): Preferences => {
  const left = fading(time - before.updated);
  const state: Preferences = {
    ...before,
    categories: faded(before.categories, left),
    brands: faded(before.brands, left),
    updated: time,
  };
  if (type === "shopping.Searched") {
    const { query, category } = data as { query: string; category: string };
    const categories = strengthened(state.categories, category, WEIGHTS.searched);
    return { ...state, categories, searches: remembered(state.searches, query) };
  }
  if (type === "shopping.Purchased") {
    const items = data["items"] as readonly Product[];
    return items.reduce(
      (next, item) => ({
        ...drawnTo(next, item, WEIGHTS.purchased),
        purchases: remembered(next.purchases, item.product),
      }),
      state,
    );
  }
  const product = data as unknown as Product;
  if (type === "shopping.Clicked") return drawnTo(state, product, WEIGHTS.clicked);
  const viewed = remembered(state.viewed, product.product);
  return { ...drawnTo(state, product, WEIGHTS.viewed), viewed };
};

export const preferences = fold("preferences", {
  description: "What each user is drawn to; interests halve every week",
  source: shopping,
  state: (): Preferences => ({
    categories: [],
    brands: [],
    prices: null,
    viewed: [],
    searches: [],
    purchases: [],
    updated: 0,
  }),
  reduce,
  ttl: "180 days",
  values: {
    favourite: { type: "string", of: ({ categories }) => categories[0]?.name ?? null },
    categories: (state) => state.categories,
    brands: (state) => state.brands,
    prices: (state) => state.prices,
    viewed: (state) => state.viewed,
    searches: (state) => state.searches,
    purchases: (state) => state.purchases,
    updated: (state) => state.updated,
  },
  emit: early({ every: "1 second" }),
});

/**
 * What a model of clicks is trained with: each click, and what its user liked best by then. Neither the click
 * itself nor anything later is in that.
 */
export const clicksAndFavourites = join("clicks-and-favourites", {
  left: { source: shopping, types: ["shopping.Clicked"] },
  right: { source: preferences },
  asOf: {},
  mode: "left",
  values: {
    product: left.field("product"),
    favourite: right.field("favourite"),
    expected: left.field("category").eq(right.field("favourite")),
  },
});
