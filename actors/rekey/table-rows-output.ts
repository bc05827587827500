/**
 * The results of a projection as events: the rows of a join's table (decisions 023 and 026).
 *
 * T1. A row's time is the end of its window, or, if event time had passed that when it was published, the
 *     first millisecond that event time had not passed: so its own partition never makes it late.
 * T2. How often somebody wants to see open windows, or states, makes no row and takes none away, nor does it
 *     number rows: see `row-core.ts`.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Value } from "../../proto/gen/tidemark/v1/result.ts";
import type { FieldSchema } from "../../projections/definition/plan.ts";
import type { RoutePlan } from "../../projections/definition/rekey.ts";
import {
  RETRACTION_TYPE,
  ROW_TYPE,
  valueFieldsOf,
  WINDOW_END,
  WINDOW_START,
} from "../../projections/definition/table-rows.ts";
import { tagOf } from "../kernel/byte-writer.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";
import { watermarkBefore } from "./output-routing-core.ts";
import type { RoutedOutput } from "./output-routing-core.ts";
import { rowEndOf } from "./row-core.ts";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/** What does not fit the field's type, or cannot be read by expressions, is null. */
const writeValue = (
  { number, scalar }: FieldSchema,
  kind: Value["kind"],
  out: BinaryWriter,
): void => {
  if (scalar === "sint64" && kind?.$case === "intValue") {
    out.uint32(tagOf(number, VARINT)).sint64(kind.value);
  } else if (scalar === "bool" && kind?.$case === "boolValue") {
    out.uint32(tagOf(number, VARINT)).bool(kind.value);
  } else if (scalar === "double" && kind?.$case === "doubleValue") {
    out.uint32(tagOf(number, FIXED64)).double(kind.value);
  } else if (scalar === "string" && kind?.$case === "stringValue") {
    out.uint32(tagOf(number, BYTES)).string(kind.value);
  }
};

export class TableRows implements RoutedOutput<Update> {
  readonly #types: readonly string[];
  readonly #fields: readonly FieldSchema[];
  /** Where the window of a result ends. */
  readonly #endOf: (update: Update) => number;
  readonly watermarkOf: RoutedOutput<Update>["watermarkOf"];

  constructor({ topic, table }: RoutePlan) {
    this.#types = topic.types.map(({ name }) => name);
    this.#fields = valueFieldsOf(table!);
    this.#endOf = rowEndOf(table!);
    // Of what is merged an update says it itself: see U5 of MergeCore.
    const { merges } = table!.rowsOf!;
    this.watermarkOf = merges ? ({ watermark }) => watermark : watermarkBefore;
  }

  itemsOf({ updates }: { readonly updates: readonly Update[] }): readonly Update[] {
    return updates;
  }

  eventOf(update: Update, watermark: number): Event {
    const { key, windowStart, ordinal, revision, kind } = update;
    const windowEnd = this.#endOf(update);
    const isRetraction = kind === Kind.KIND_RETRACTION;
    return {
      id: `${windowStart}/${windowEnd}/${ordinal}/${revision}`,
      type: this.#types[isRetraction ? RETRACTION_TYPE : ROW_TYPE]!,
      key,
      eventTime: Math.min(Math.max(windowEnd, watermark + 1), EVENT_TIME_MAX),
      data: { $case: "protobuf", value: this.#payloadOf(update, windowEnd, !isRetraction) },
    };
  }

  #payloadOf({ windowStart, values }: Update, windowEnd: number, withValues: boolean): Buffer {
    const out = new BinaryWriter();
    out.uint32(tagOf(WINDOW_START.number, VARINT)).sint64(windowStart);
    out.uint32(tagOf(WINDOW_END.number, VARINT)).sint64(windowEnd);
    if (withValues) {
      this.#fields.forEach((field, index) => writeValue(field, values[index]?.kind, out));
    }
    return Buffer.from(out.finish());
  }
}
