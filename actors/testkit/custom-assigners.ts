/** Custom windows as a user would write them: with arithmetic, where the naive model tries one after the other. */
import type { AssignWindows } from "../../projections/definition/definition.ts";
import type { CustomShape } from "./model-windows.ts";

type Window = readonly [start: number, end: number];

type Shape<Name> = Extract<CustomShape, { readonly shape: Name }>;

const pattern =
  ({ offset, step, lengths }: Shape<"pattern">): AssignWindows =>
  (time) => {
    const windows: Window[] = [];
    const last = Math.floor((time - offset) / step);
    const first = Math.floor((time - offset - Math.max(...lengths)) / step) + 1;
    for (let n = first; n <= last; n++) {
      const start = offset + n * step;
      const length = lengths.at(n % lengths.length)!;
      if (time < start + length) windows.push([start, start + length]);
    }
    return windows;
  };

const powers =
  ({ origin, ratio, reach }: Shape<"powers">): AssignWindows =>
  (time) => {
    const windows: Window[] = [];
    for (let from = 1; from <= time - origin; from *= ratio) {
      const until = from * ratio ** reach;
      if (time < origin + until) windows.push([origin + from, origin + until]);
    }
    return windows;
  };

const around =
  ({ before, after }: Shape<"around">): AssignWindows =>
  (time) => [[time - before, time + after]];

const assignerOf = (shape: CustomShape): AssignWindows => {
  switch (shape.shape) {
    case "pattern":
      return pattern(shape);
    case "powers":
      return powers(shape);
    case "around":
      return around(shape);
  }
};

export const customAssigner = (shape: CustomShape): AssignWindows => {
  const assign = assignerOf(shape);
  return (time) => {
    if (time % shape.throwsEvery === 0) throw new RangeError(`no window at ${time}`);
    return assign(time);
  };
};
