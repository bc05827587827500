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

it("lists what there is when nothing is near", () => {
  expect(suggestion("price", ["a", "b"], "fields")).toBe('; the fields are "a", "b"');
  expect(suggestion("price", [], "fields")).toBe("; there are no fields");
  const many = Array.from({ length: 25 }, (_, index) => `name${index}`);
  expect(suggestion("price", many, "fields")).toMatch(/"name19" and 5 more$/);
});
