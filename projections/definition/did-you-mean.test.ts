import { expect, it } from "vitest";
import { nearest, suggestion } from "./did-you-mean.ts";

it("finds what was probably meant", () => {
  const names = ["delay", "distance", "origin", "destination", "store_id"];
  const meant = {
    dealy: "delay",
    Delay: "delay",
    dely: "delay",
    storeId: "store_id",
    dest: "destination",
    orgin: "origin",
  };
  for (const [written, name] of Object.entries(meant)) expect(nearest(written, names)).toBe(name);
  for (const written of ["price", "x", ""]) expect(nearest(written, names)).toBeUndefined();
});

it("prefers the fewest edits to a name that begins or ends with what was written", () => {
  const names = ["every", "everyEventTime", "everyEvents"];
  expect(nearest("everyEvent", names)).toBe("everyEvents");
  expect(nearest("everyEvent", names.toReversed())).toBe("everyEvents");
  expect(nearest("everyEventT", ["everyEventTimeMs", "everyEventTime"])).toBe("everyEventTime");
  expect(nearest("time", ["everyEventTime", "price"])).toBe("everyEventTime");
});

it("lists what there is when nothing is near", () => {
  expect(suggestion("price", ["a", "b"], "fields")).toBe('; the fields are "a", "b"');
  expect(suggestion("price", [], "fields")).toBe("; there are no fields");
  const many = Array.from({ length: 25 }, (_, index) => `name${index}`);
  expect(suggestion("price", many, "fields")).toMatch(/"name19" and 5 more$/);
});
