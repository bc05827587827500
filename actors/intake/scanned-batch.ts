/**
 * What a record batch's scanner found, as the columns of an EventBatch: what every intake has alike,
 * whoever judges the events.
 */
import { RecordBatchScanner } from "../kernel/record-batch-scanner.ts";

export abstract class ScannedBatch {
  protected readonly scanner: RecordBatchScanner;

  constructor(typeNames: readonly string[]) {
    this.scanner = new RecordBatchScanner(typeNames);
  }

  get eventTimes(): Float64Array {
    return this.scanner.eventTimes;
  }
  get typeIndexes(): Int32Array {
    return this.scanner.typeIndexes;
  }
  get idStarts(): Int32Array {
    return this.scanner.idStarts;
  }
  get idEnds(): Int32Array {
    return this.scanner.idEnds;
  }
  get keyStarts(): Int32Array {
    return this.scanner.keyStarts;
  }
  get keyEnds(): Int32Array {
    return this.scanner.keyEnds;
  }
  get eventStarts(): Int32Array {
    return this.scanner.eventStarts;
  }
  get eventEnds(): Int32Array {
    return this.scanner.eventEnds;
  }
  get errors(): ReadonlyMap<number, string> {
    return this.scanner.errors;
  }
}
