/** Which operator and assigner run which kind of window: the one place to add a kind to the engine. */
import type { WindowPlan } from "../../projections/definition/plan.ts";
import { AlignedWindows } from "./aligned-windows.ts";
import type { WindowAssigner } from "./assigner.ts";
import { CalendarWindows } from "./calendar.ts";
import { CustomWindows } from "./custom.ts";
import { GlobalWindow } from "./global.ts";
import { HoppingWindows } from "./hopping.ts";
import { SessionWindows } from "./session-windows.ts";
import { SlidingWindows } from "./sliding-windows.ts";
import type { SlotStore } from "./slot-store.ts";
import { TumblingWindows } from "./tumbling.ts";
import type { Publisher, WindowOperator } from "./window-operator.ts";

export const makeOperator = (
  plan: WindowPlan,
  store: SlotStore,
  publisher: Publisher,
): WindowOperator => {
  const { window, allowedLatenessMs, emit } = plan.definition;
  const publishesEarly = plan.merged || emit.mode !== "final";
  const aligned = (assigner: WindowAssigner) =>
    new AlignedWindows({ store, publisher, assigner, allowedLatenessMs, publishesEarly });
  switch (window.kind) {
    case "tumbling":
      return aligned(new TumblingWindows(window.sizeMs, window.offsetMs));
    case "hopping":
      return aligned(new HoppingWindows(window.sizeMs, window.advanceMs, window.offsetMs));
    case "global":
      return aligned(new GlobalWindow());
    case "calendar":
      return aligned(new CalendarWindows(window, plan.zone!));
    case "custom":
      return aligned(new CustomWindows(window.assign, window.windowsMax));
    case "sliding": {
      const { sizeMs } = window;
      return new SlidingWindows({ store, publisher, sizeMs, allowedLatenessMs, publishesEarly });
    }
    case "session": {
      const { gapMs } = window;
      return new SessionWindows({ store, publisher, gapMs, allowedLatenessMs, publishesEarly });
    }
  }
};
