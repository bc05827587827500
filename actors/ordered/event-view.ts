/** The event of a turn as code of users sees it. */
import type { TopicPlan } from "../../projections/definition/plan.ts";
import type { FoldEvent } from "../../projections/definition/definition.ts";
import { payloadDecoder } from "../kernel/payload-decoder.ts";
import type { PayloadDecoder } from "../kernel/payload-decoder.ts";
import { textOf } from "../kernel/text.ts";
import * as wire from "../kernel/wire.ts";
import type { Turn } from "./keyed-operator.ts";

export class EventView {
  readonly #names: readonly string[];
  readonly #decoders: readonly PayloadDecoder[];

  constructor(topic: TopicPlan) {
    this.#names = topic.types.map(({ name }) => name);
    this.#decoders = topic.types.map(payloadDecoder);
  }

  /** The event of a turn: one that the intake accepted, of the type with that index. */
  read(typeIndex: number, turn: Turn): FoldEvent {
    const { bytes: encoded, end, time } = turn;
    let id = "";
    let key = "";
    let dataStart = 0;
    let dataEnd = 0;
    for (let at = turn.start; at < end;) {
      const value = wire.readVarint(encoded, at, end);
      const tag = wire.varintLow;
      at = wire.skipField(encoded, value, end, tag & 7);
      if (at < 0) throw new Error("the event breaks off");
      if (tag === 0x0a) id = textOf(encoded, at - wire.varintLow, at);
      else if (tag === 0x1a) key = textOf(encoded, at - wire.varintLow, at);
      else if (tag === 0x2a) {
        dataStart = at - wire.varintLow;
        dataEnd = at;
      }
    }
    const data = this.#decoders[typeIndex]!(encoded, dataStart, dataEnd);
    return { id, type: this.#names[typeIndex]!, key, time, data };
  }
}
