/** Which assigner runs which kind of window: the one place to add a kind to the engine. */
import type { WindowDefinition } from "../../projections/definition/definition.ts";
import type { WindowAssigner } from "./assigner.ts";
import { TumblingWindows } from "./tumbling.ts";

export const makeAssigner = (window: WindowDefinition): WindowAssigner => {
  switch (window.kind) {
    case "tumbling":
      return new TumblingWindows(window.sizeMs, window.offsetMs);
  }
};
