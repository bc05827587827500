/**
 * Which worker runs what: a function of names and numbers, so that every worker knows it without
 * asking. The supervisor keeps one process for each index; the fence in each commit is what makes a
 * mistake here harmless.
 */
import { partitionOf } from "../../proto/partitioner.ts";

export interface WorkerSlot {
  readonly index: number;
  readonly workers: number;
}

export const ownsPartition = ({ index, workers }: WorkerSlot, partition: number): boolean =>
  partition % workers === index;

/** Merging tasks: spread by the name of their projection. */
export const ownsMerge = ({ index, workers }: WorkerSlot, projection: string): boolean =>
  partitionOf(projection, workers) === index;

export const ownsRelays = ({ index }: WorkerSlot): boolean => index === 0;
