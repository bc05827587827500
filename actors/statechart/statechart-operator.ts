/**
 * A statechart: an XState machine per key. Events of the key are sent to it in event-time order, delays
 * run in event time, and what it emits are results.
 *
 * C1. A machine begins with the first event of its key (its `input` is the key and the time), and then
 *     gets that event. When it is done, the key is forgotten: its next event begins anew.
 * C2. `after` and delayed `raise` are timers of the key: due d, they come before an event of time d.
 * C3. A guard or action that throws refuses the event, and the machine stays as it was.
 * C4. Context is a plain state: see PlainState. Between turns there is nothing but it, the state's value,
 *     the history and what is delayed: all that a snapshot holds, in one order whatever came before.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";
import type { StatechartPlan } from "../../projections/definition/plan.ts";
import { readPlain, sealState, writePlain } from "../../projections/definition/plain-state.ts";
import type { PlainState } from "../../projections/definition/plain-state.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { EventView } from "../ordered/event-view.ts";
import type { KeyedOperator, Turn } from "../ordered/keyed-operator.ts";
import { TurnRefused, threw } from "../ordered/limits.ts";
import type { OutputValue } from "../ordered/output-value.ts";
import { MachineStepper } from "./machine-step.ts";

interface Chart {
  /** Undefined before the first event. */
  readonly snapshot: AnyMachineSnapshot | undefined;
  /** By timer: the events that more than their type is to be known of. */
  readonly delayed: Readonly<Record<string, PlainState>>;
  /** How many events without an id were delayed: it names their timers. */
  readonly nameless: number;
}

const CONTEXT = "the context";
/** Of all events of a key together: they are part of its state. */
const DELAYED = "what is delayed";
const UNBORN: Chart = { snapshot: undefined, delayed: {}, nameless: 0 };

/** States by which a history is told, by its id. */
type History = Readonly<Record<string, readonly { readonly id: string }[]>>;

export class StatechartOperator implements KeyedOperator<number, Chart> {
  readonly #plan: StatechartPlan;
  readonly #view: EventView;
  readonly #stepper: MachineStepper;
  #typeIndexes: Int32Array = new Int32Array(0);

  constructor(plan: StatechartPlan) {
    this.#plan = plan;
    this.#view = new EventView(plan.topic);
    this.#stepper = new MachineStepper(plan.definition.machine as AnyStateMachine);
  }

  begin(batch: EventBatch): void {
    this.#typeIndexes = batch.typeIndexes;
  }

  take(row: number): number {
    return this.#typeIndexes[row]!;
  }

  open(): Chart {
    return UNBORN;
  }

  event(chart: Chart, typeIndex: number, turn: Turn): Chart | undefined {
    const { toEvent } = this.#plan.definition;
    const given = this.#view.read(typeIndex, turn);
    let event: EventObject | undefined = given;
    if (toEvent !== undefined) {
      try {
        event = toEvent(given);
      } catch (error) {
        throw threw("toEvent", error);
      }
    }
    if (event === undefined) return chart.snapshot === undefined ? undefined : chart;
    if (typeof event?.type !== "string")
      throw new TurnRefused("toEvent gives no event with a type");
    if (chart.snapshot !== undefined) return this.#step(chart, chart.snapshot, event, turn);
    const first = this.#stepper.initial({ key: turn.key, time: turn.time });
    const born = this.#after(chart, first, turn);
    return born && this.#step(born, first, event, turn);
  }

  timer(chart: Chart, timer: string, turn: Turn): Chart | undefined {
    const event = (chart.delayed[timer] ?? { type: timer }) as unknown as EventObject;
    const delayed = without(chart.delayed, timer);
    return this.#step({ ...chart, delayed }, chart.snapshot!, event, turn);
  }

  #step(
    chart: Chart,
    snapshot: AnyMachineSnapshot,
    event: EventObject,
    turn: Turn,
  ): Chart | undefined {
    return this.#after(chart, this.#stepper.next(snapshot, event), turn);
  }

  /** Does what the last step asked for. */
  #after(chart: Chart, snapshot: AnyMachineSnapshot, turn: Turn): Chart | undefined {
    if (snapshot.context !== chart.snapshot?.context) sealState(snapshot.context, CONTEXT);
    let { delayed, nameless } = chart;
    for (const command of this.#stepper.commands) {
      if (command.do === "emit") {
        const { type, ...data } = command.event;
        turn.emit(turn.time, turn.time + 1, [type, data as OutputValue]);
      } else if (command.do === "cancel") {
        turn.cancelTimer(command.id);
        delayed = without(delayed, command.id);
      } else {
        const name = command.id ?? `raise ${nameless++}`;
        turn.setTimer(name, turn.time + command.delay);
        // The events of `after` are named as their timers are, and are nothing else.
        delayed = without(delayed, name);
        if (name !== command.event.type || Object.keys(command.event).length > 1) {
          delayed = { ...delayed, [name]: command.event as unknown as PlainState };
        }
      }
    }
    if (snapshot.status !== "active") return undefined;
    if (delayed !== chart.delayed) sealState(delayed, DELAYED);
    return { snapshot, delayed, nameless };
  }

  writeEvent(typeIndex: number, out: ByteWriter): void {
    out.varint(typeIndex);
  }

  readEvent(from: ByteReader): number {
    return from.varint();
  }

  writeState({ snapshot, delayed, nameless }: Chart, out: ByteWriter): void {
    const { value, context, historyValue } = snapshot!;
    writePlain(value as PlainState, out);
    writePlain(context as PlainState, out);
    writePlain(idsOf(historyValue as History), out);
    writePlain(delayed, out);
    out.varint(nameless);
  }

  readState(from: ByteReader): Chart {
    const { machine } = this.#stepper;
    const value = readPlain(from);
    const context = readPlain(from);
    const history = readPlain(from) as Readonly<Record<string, readonly string[]>>;
    const delayed = readPlain(from) as Chart["delayed"];
    const historyValue = Object.fromEntries(
      Object.entries(history).map(([id, ids]) => [
        id,
        ids.map((state) => machine.getStateNodeById(state)),
      ]),
    );
    const snapshot = this.#stepper.restored({ value, context, historyValue } as never);
    return { snapshot, delayed, nameless: from.varint() };
  }
}

const without = (delayed: Chart["delayed"], timer: string): Chart["delayed"] => {
  if (!Object.hasOwn(delayed, timer)) return delayed;
  return Object.fromEntries(Object.entries(delayed).filter(([name]) => name !== timer));
};

/** Sorted: XState's own order is that of what happened, which no snapshot holds, and says nothing. */
const idsOf = (history: History): PlainState =>
  Object.fromEntries(
    Object.entries(history)
      .map(([id, states]) => [id, states.map((each) => each.id).toSorted()] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
