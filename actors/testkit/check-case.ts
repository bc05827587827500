/**
 * Checks a case that came as data and encodes its events, noting every mistake with its path.
 *
 * Nothing of the engine runs here but the gateway's own partitioner and schemas, so that the events of a
 * case are such as a log would hold.
 */
import { partitionOf } from "../../proto/partitioner.ts";
import { nearest, suggestion } from "../../projections/definition/did-you-mean.ts";
import {
  at,
  Mistakes,
  NOT_NEGATIVE,
  POSITIVE,
  shown,
} from "../../projections/definition/reading.ts";
import type { Fields } from "../../projections/definition/reading.ts";
import { PayloadError } from "../../projections/errors.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";
import { planCase } from "./case-plan.ts";
import type { CasePlan, CaseTopic, FindProjection } from "./case-plan.ts";
import { CaseError, stepPath } from "./case.ts";
import type { CheckedCase, CheckedEvent, CheckedStep, LineOf } from "./case.ts";
import { checkExpectation } from "./check-expectation.ts";
import { readTime } from "./time.ts";

const CASE_KEYS = [
  "name",
  "projection",
  "topic",
  "topics",
  "tables",
  "clock",
  "steps",
  "expect",
] as const;
const EVENT_KEYS = ["key", "time", "id", "type", "partition", "ingest", "data", "raw"] as const;
const STEP_KEYS = ["batch", "watermark", "tick", "wait", "expect"] as const;
const STEP_FORMS =
  "an event such as { key: a, time: 1000 }, restart, tick, or one of " +
  "{ watermark: ... }, { tick: ... }, { wait: ... }, { batch: [...] }, { expect: ... }";

const HEX = /^([0-9a-f]{2})*$/i;

/** Throws {@link CaseError}. */
export const checkCase = (
  content: unknown,
  find: FindProjection,
  lineOf: LineOf = () => undefined,
): CheckedCase => {
  const mistakes = new Mistakes();
  const given = mistakes.object(content, "", CASE_KEYS);
  const planned = given && planCase(given, mistakes, find);
  const checker = planned && new CaseChecker(planned, mistakes);
  const checked = given && checker?.check(given);
  if (checked === undefined || mistakes.list.length > 0) {
    throw new CaseError(mistakes.list.map((each) => ({ ...each, line: lineOf(each.path) })));
  }
  return checked;
};

class CaseChecker {
  readonly #planned: CasePlan;
  readonly #mistakes: Mistakes;
  #events = 0;

  constructor(planned: CasePlan, mistakes: Mistakes) {
    this.#planned = planned;
    this.#mistakes = mistakes;
  }

  check(given: Fields): CheckedCase {
    const { plan, topics } = this.#planned;
    const name = this.#mistakes.text(given["name"] ?? "", "name") ?? "";
    const clock = this.#optionalTime(given["clock"], "clock");
    const items =
      given["steps"] === undefined
        ? this.#mistakes.add("steps", `is missing: a list, each ${STEP_FORMS}`)
        : this.#mistakes.items(given["steps"], "steps");
    const steps = (items ?? []).flatMap((item, index) => this.#step(item, stepPath(index)) ?? []);
    if (given["expect"] !== undefined) {
      const expectation = checkExpectation(
        given["expect"],
        "expect",
        this.#planned,
        this.#mistakes,
      );
      if (expectation) steps.push({ step: "expect", path: "expect", expectation });
    } else if (!steps.some((step) => step.step === "expect") && this.#mistakes.list.length === 0) {
      this.#mistakes.add("expect", "is missing: the case expects nothing, so it cannot fail");
    }
    return { name, plan, topics, clock, steps };
  }

  #step(item: unknown, path: string): CheckedStep | undefined {
    const mistakes = this.#mistakes;
    if (item === "restart") return { step: "restart", path };
    if (item === "tick") {
      const ms = Math.max(...this.#planned.topics.map(({ definition }) => definition.idleAfterMs));
      return { step: "tick", path, ms, lanes: this.#lanes({}, path) };
    }
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      const best = typeof item === "string" ? nearest(item, ["restart", "tick"]) : undefined;
      const hint = best === undefined ? "" : `; did you mean ${shown(best)}?`;
      return mistakes.add(path, `must be ${STEP_FORMS}; not ${shown(item)}${hint}`);
    }
    const fields = item as Fields;
    if (fields["key"] !== undefined && fields["time"] !== undefined) {
      const event = this.#event(fields, path);
      return event && { step: "events", path, events: [event] };
    }
    const kind = STEP_KEYS.find((key) => Object.hasOwn(fields, key));
    switch (kind) {
      case "batch":
        return this.#batch(fields, path);
      case "watermark":
        return this.#watermark(fields, path);
      case "tick": {
        mistakes.object(fields, path, ["tick", ...this.#placeKeys]);
        const ms = mistakes.duration(fields["tick"], at(path, "tick"), POSITIVE);
        const lanes = this.#lanes(fields, path);
        return ms === undefined ? undefined : { step: "tick", path, ms, lanes };
      }
      case "wait": {
        mistakes.object(fields, path, ["wait"]);
        const ms = mistakes.duration(fields["wait"], at(path, "wait"), NOT_NEGATIVE);
        return ms === undefined ? undefined : { step: "wait", path, ms };
      }
      case "expect": {
        mistakes.object(fields, path, ["expect"]);
        const where = at(path, "expect");
        const expectation = checkExpectation(fields["expect"], where, this.#planned, mistakes);
        return expectation && { step: "expect", path, expectation };
      }
      default: {
        const missing = ["key", "time"].filter((key) => fields[key] === undefined);
        if (missing.length === 1) return mistakes.add(at(path, missing[0]!), "an event needs it");
        const [first] = Object.keys(fields);
        const hint = first === undefined ? "" : suggestion(first, STEP_KEYS, "keys of steps");
        return mistakes.add(path, `must be ${STEP_FORMS}${hint}`);
      }
    }
  }

  #batch(fields: Fields, path: string): CheckedStep | undefined {
    const mistakes = this.#mistakes;
    mistakes.object(fields, path, ["batch"]);
    const items = mistakes.items(fields["batch"], at(path, "batch"));
    const events = (items ?? []).flatMap((item, index) => {
      const where = at(at(path, "batch"), index);
      const event = mistakes.record(item, where);
      return (event && this.#event(event, where)) ?? [];
    });
    if (new Set(events.map((event) => event.ingest)).size > 1) {
      return mistakes.add(
        at(path, "batch"),
        "events of one record batch have one ingest time: give all of them the same, or none",
      );
    }
    return { step: "events", path, events };
  }

  #watermark(fields: Fields, path: string): CheckedStep | undefined {
    const mistakes = this.#mistakes;
    mistakes.object(fields, path, ["watermark", ...this.#placeKeys]);
    const where = at(path, "watermark");
    const time = readTime(fields["watermark"], where, mistakes);
    const lanes = this.#lanes(fields, path);
    if (time === undefined) return undefined;
    const disorders = this.#planned.topics.map(({ definition }) => definition.maxOutOfOrdernessMs);
    const latest = EVENT_TIME_MAX - Math.max(...disorders) - 1;
    if (time > latest) {
      return mistakes.add(
        where,
        `must be at most ${latest}: events may not be later than that needs`,
      );
    }
    return { step: "watermark", path, time, lanes };
  }

  #event(fields: Fields, path: string): CheckedEvent | undefined {
    const mistakes = this.#mistakes;
    const number = ++this.#events;
    for (const needed of ["key", "time"]) {
      if (fields[needed] === undefined) mistakes.add(at(path, needed), "an event needs it");
    }
    const { key: givenKey, id = `event-${number}` } = fields;
    if (fields["time"] === undefined || givenKey === undefined) return undefined;
    const key =
      typeof givenKey === "number" ? String(givenKey) : mistakes.text(givenKey, at(path, "key"));
    const time = readTime(fields["time"], at(path, "time"), mistakes);
    const topic = this.#topicOfEvent(fields, path);
    const type = topic && this.#type(topic, fields, path);
    const checkedId = mistakes.text(id, at(path, "id"));
    const ingest = this.#optionalTime(fields["ingest"], at(path, "ingest"));
    const partition = topic && this.#partition(topic, fields["partition"], path);
    const payload =
      topic && type !== undefined ? this.#payload(topic, fields, path, type) : undefined;
    if (key === undefined || time === undefined || checkedId === undefined) return undefined;
    if (topic === undefined || payload === undefined) return undefined;
    if (type === undefined) return undefined;
    const { firstLane, definition } = topic;
    return {
      path,
      id: checkedId,
      type,
      key,
      time,
      lane: firstLane + (partition ?? partitionOf(key, definition.partitions)),
      ingest,
      payload,
    };
  }

  /** What says in which partitions something happens. */
  get #placeKeys(): readonly string[] {
    return this.#planned.topics.length === 1 ? ["partition"] : ["topic", "partition"];
  }

  /** The topic that is named; undefined where none is. */
  #topic(fields: Fields, path: string): CaseTopic | undefined {
    const { topics } = this.#planned;
    if (topics.length === 1) return topics[0];
    if (fields["topic"] === undefined) return undefined;
    const names = topics.map(({ definition }) => definition.name);
    const name = this.#mistakes.oneOf(fields["topic"], at(path, "topic"), names);
    return topics.find(({ definition }) => definition.name === name);
  }

  /** The one that is named, or has the type. */
  #topicOfEvent(fields: Fields, path: string): CaseTopic | undefined {
    const { topics } = this.#planned;
    const named = this.#topic(fields, path);
    if (named !== undefined || fields["topic"] !== undefined) return named;
    if (fields["type"] === undefined) return topics[0];
    const having = topics.filter(({ types }) => types.includes(fields["type"] as string));
    if (having.length === 1) return having[0];
    const names = topics.map(({ definition }) => shown(definition.name)).join(" or ");
    if (having.length > 1) {
      return this.#mistakes.add(path, `several topics have its type; give it a topic: ${names}`);
    }
    const types = topics.flatMap((topic) => topic.types);
    const hint = suggestion(String(fields["type"]), types, "types");
    return this.#mistakes.add(at(path, "type"), `no topic has such a type${hint}`);
  }

  /** The partitions of all topics, of one, or one of them. */
  #lanes(fields: Fields, path: string): readonly number[] {
    const named = this.#topic(fields, path);
    const chosen = named === undefined ? this.#planned.topics : [named];
    if (named === undefined && fields["partition"] !== undefined) {
      return this.#mistakes.add(at(path, "partition"), 'of which topic? Say "topic", too') ?? [];
    }
    const partition = named && this.#partition(named, fields["partition"], path);
    return chosen.flatMap(({ firstLane, definition }) =>
      Array.from({ length: definition.partitions }, (_, index) => firstLane + index).filter(
        (lane) => partition === undefined || lane === firstLane + partition,
      ),
    );
  }

  #type({ types, firstRead }: CaseTopic, fields: Fields, path: string): string | undefined {
    if (fields["type"] === undefined) return firstRead;
    const type = this.#mistakes.text(fields["type"], at(path, "type"));
    // Raw bytes are there to be wrong, so their type may be, too.
    if (type === undefined || types.includes(type) || fields["raw"] !== undefined) return type;
    const hint = suggestion(type, types, "types");
    return this.#mistakes.add(at(path, "type"), `the topic has no such type${hint}`);
  }

  #payload(
    { schemas }: CaseTopic,
    fields: Fields,
    path: string,
    type: string,
  ): Uint8Array | undefined {
    const mistakes = this.#mistakes;
    const own: readonly string[] = [...EVENT_KEYS, ...this.#placeKeys];
    const inline = Object.entries(fields).filter(([name]) => !own.includes(name));
    if (fields["raw"] !== undefined) {
      const hex = String(fields["raw"]);
      if (HEX.test(hex)) return Buffer.from(hex, "hex");
      return mistakes.add(at(path, "raw"), `must be hexadecimal, not ${shown(fields["raw"])}`);
    }
    const data =
      fields["data"] === undefined
        ? Object.fromEntries(inline)
        : mistakes.record(fields["data"], at(path, "data"));
    if (data === undefined) return undefined;
    if (fields["data"] !== undefined && inline.length > 0) {
      const names = inline.map(([name]) => name).join(", ");
      return mistakes.add(path, `has "data" and, beside it, fields of the payload: ${names}`);
    }
    const json = JSON.stringify(data, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    try {
      return schemas.toBinary(type, json);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      const within = fields["data"] === undefined ? path : at(path, "data");
      const place = error.path === "" ? within : `${within}.${error.path}`;
      const meant = inline.some(([name]) => name === error.path)
        ? nearest(error.path, own)
        : undefined;
      const hint = meant === undefined ? "" : `; did you mean ${shown(meant)} of the event?`;
      return mistakes.add(place, `${error.reason}${hint}`);
    }
  }

  #optionalTime(value: unknown, path: string): number | undefined {
    return value === undefined ? undefined : readTime(value, path, this.#mistakes);
  }

  #partition({ definition }: CaseTopic, value: unknown, path: string): number | undefined {
    if (value === undefined) return undefined;
    const { partitions } = definition;
    const range = { min: 0, max: partitions - 1 };
    return this.#mistakes.whole(value, at(path, "partition"), range);
  }
}
