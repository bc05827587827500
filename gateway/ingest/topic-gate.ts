/**
 * Lets the events of one topic into the log: checks each against its type, finds its partition and
 * copies its bytes into that partition's open record batch.
 *
 * G1. An event either enters a batch or gets a rejection with field and reason; neither touches its
 *     neighbours.
 * G2. The bytes that enter are those of the request, unless the event has no id (one is added
 *     behind) or carries JSON (its data is replaced by Protobuf): the log never holds field `json`.
 * G3. "Future" is judged against the batch's ingest time: exactly what the engine will do.
 */
import { partitionOfBytes } from "../../proto/partitioner.ts";
import type { EventTypeSchema, TopicPlan } from "../../projections/definition/plan.ts";
import { fieldBytes, GENERATED_ID_BYTES } from "./batch-buffer.ts";
import type { Batcher, PartitionLane } from "./batcher.ts";
import { EventScanner, JSON_TEXT } from "./event-scanner.ts";
import type { IngestRequest } from "./ingest-request.ts";
import type { JsonCodec } from "./json-payload.ts";
import { validUtf8 } from "./utf8.ts";
import type { UuidV7 } from "./uuid-v7.ts";
import { PayloadValidator } from "./validator.ts";

export interface IngestTopic {
  readonly plan: TopicPlan;
  readonly json: JsonCodec;
}

interface TypeGate {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly validator: PayloadValidator;
}

/** How much of an unknown name an error repeats. */
const QUOTE_CHARS_MAX = 100;

export class TopicGate {
  readonly name: string;
  readonly #types: readonly TypeGate[];
  readonly #lanes: readonly PartitionLane[];
  readonly #json: JsonCodec;
  readonly #maxFutureSkewMs: number;
  readonly #maxEventBytes: number;
  readonly #scanner = new EventScanner();
  readonly #ids: UuidV7;
  #lastType: TypeGate;
  #generatedId = "";

  constructor(options: {
    readonly topic: IngestTopic;
    readonly batcher: Batcher;
    readonly maxEventBytes: number;
    readonly ids: UuidV7;
  }) {
    const { definition, types } = options.topic.plan;
    this.name = definition.name;
    this.#types = types.map(typeGate);
    this.#lastType = this.#types[0];
    this.#lanes = Array.from({ length: definition.partitions }, (_, partition) =>
      options.batcher.lane(definition.name, partition),
    );
    this.#json = options.topic.json;
    this.#maxFutureSkewMs = definition.maxFutureSkewMs;
    this.#maxEventBytes = options.maxEventBytes;
    this.#ids = options.ids;
  }

  /** The id of the event that was just let in: the producer's, or the one made here. */
  lastId(bytes: Buffer): string {
    const scanner = this.#scanner;
    return scanner.idStart === scanner.idEnd
      ? this.#generatedId
      : bytes.toString("utf8", scanner.idStart, scanner.idEnd);
  }

  /** Lets the Event in bytes[start, end) in as event `index` of the request, or rejects it. */
  admit(bytes: Buffer, start: number, end: number, request: IngestRequest, index: number): void {
    const scanner = this.#scanner;
    if (end - start > this.#maxEventBytes) {
      request.reject(index, "", tooLarge(end - start, this.#maxEventBytes));
      return;
    }
    if (!scanner.scan(bytes, start, end) || !this.#checkType(bytes) || !scanner.check(bytes)) {
      request.reject(index, scanner.field, scanner.reason);
      return;
    }
    if (scanner.jsonSeen) {
      this.#admitJson(bytes, start, end, request, index);
      return;
    }
    const validator = this.#lastType.validator;
    if (!validator.check(bytes, scanner.dataStart, scanner.dataEnd)) {
      request.reject(index, validator.field, validator.reason);
      return;
    }
    this.#put(bytes, start, end, bytes, request, index);
  }

  /** Replaces the event's data fields by one of Protobuf, checks that and puts it. */
  #admitJson(
    bytes: Buffer,
    start: number,
    end: number,
    request: IngestRequest,
    index: number,
  ): void {
    const { dataTag, dataStart, dataEnd } = this.#scanner;
    const { name, validator } = this.#lastType;
    let payload: Uint8Array = bytes.subarray(dataStart, dataEnd);
    if (dataTag === JSON_TEXT) {
      if (!validUtf8(bytes, dataStart, dataEnd)) {
        request.reject(index, "data", "the JSON is not valid UTF-8");
        return;
      }
      const converted = this.#json.toBinary(name, bytes.toString("utf8", dataStart, dataEnd));
      if (!(converted instanceof Uint8Array)) {
        request.reject(index, converted.field, converted.reason);
        return;
      }
      payload = converted;
    }
    if (!validator.check(payload, 0, payload.length)) {
      request.reject(index, validator.field, validator.reason);
      return;
    }
    const rewritten = this.#scanner.withProtobuf(bytes, start, end, payload);
    if (rewritten.length > this.#maxEventBytes) {
      const reason = tooLarge(rewritten.length, this.#maxEventBytes);
      request.reject(index, "", `in Protobuf ${reason}`);
      return;
    }
    this.#put(rewritten, 0, rewritten.length, bytes, request, index);
  }

  /** `source` holds what enters the log, `bytes` the request that the scanner's offsets are of. */
  #put(
    source: Buffer,
    start: number,
    end: number,
    bytes: Buffer,
    request: IngestRequest,
    index: number,
  ): void {
    const scanner = this.#scanner;
    const lanes = this.#lanes;
    const lane = lanes[partitionOfBytes(bytes, scanner.keyStart, scanner.keyEnd, lanes.length)];
    if (scanner.idStart === scanner.idEnd) {
      const batch = lane.batchFor(fieldBytes(end - start + GENERATED_ID_BYTES));
      batch.appendWithId(source, start, end, this.#ids);
      request.put(index, batch, scanner.eventTime > batch.ingestTime + this.#maxFutureSkewMs);
      if (request.count === 1) this.#generatedId = batch.lastGeneratedId();
    } else {
      const batch = lane.batchFor(fieldBytes(end - start));
      batch.append(source, start, end);
      request.put(index, batch, scanner.eventTime > batch.ingestTime + this.#maxFutureSkewMs);
    }
  }

  /** Finds the type of the scanned event; most requests hold events of one type. */
  #checkType(bytes: Buffer): boolean {
    const { typeStart, typeEnd } = this.#scanner;
    if (sameBytes(this.#lastType.bytes, bytes, typeStart, typeEnd)) return true;
    for (const type of this.#types) {
      if (!sameBytes(type.bytes, bytes, typeStart, typeEnd)) continue;
      this.#lastType = type;
      return true;
    }
    const known = `topic ${this.name} has ${this.#types.map((type) => type.name).join(", ")}`;
    const name = quote(bytes.toString("utf8", typeStart, typeEnd));
    this.#scanner.field = "type";
    this.#scanner.reason =
      typeStart === typeEnd ? `is missing; ${known}` : `unknown type ${name}; ${known}`;
    return false;
  }
}

const typeGate = (type: EventTypeSchema): TypeGate => ({
  name: type.name,
  bytes: new TextEncoder().encode(type.name),
  validator: new PayloadValidator(type),
});

const sameBytes = (name: Uint8Array, bytes: Buffer, start: number, end: number): boolean => {
  const length = end - start;
  if (name.length !== length) return false;
  for (let i = 0; i < length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
};

const tooLarge = (size: number, limit: number): string =>
  `the event is ${size} bytes; the limit is ${limit} (gateway.maxEventBytes)`;

export const quote = (text: string): string =>
  JSON.stringify(text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}…` : text);
