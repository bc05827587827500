/**
 * Up to where a partition of a re-keyed log includes what its upstreams routed, in RESULTS sequences: what each of its
 * record batches says.
 *
 * X1. One place for all upstreams, but for those that were held back, which have their own.
 */
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { Rekeyed } from "../../proto/gen/tidemark/v1/event.ts";
import type { LogRecord } from "../ports/event-log.ts";

export interface LogExtent {
  readonly position: number;
  /** By upstream: of those that it includes up to another place. */
  readonly held: ReadonlyMap<number, number>;
}

export const extentOf = (rekeyed: Rekeyed | undefined): LogExtent => ({
  position: rekeyed?.position ?? 0,
  held: new Map(
    (rekeyed?.upstreams ?? []).flatMap(({ partition, position }) =>
      position === undefined ? [] : [[partition, position] as const],
    ),
  ),
});

/** Of a log whose newest record this is; undefined where it is empty. */
export const extentIn = (last: LogRecord | undefined): LogExtent =>
  extentOf(last && RecordBatch.decode(last.data).rekeyed);

/** Of one upstream. */
export const includedOf = ({ position, held }: LogExtent, upstream: number): number =>
  held.get(upstream) ?? position;

export const sameExtent = (a: LogExtent, b: LogExtent): boolean =>
  a.position === b.position &&
  a.held.size === b.held.size &&
  [...a.held].every(([upstream, position]) => b.held.get(upstream) === position);

/** What two together include: that never goes back. */
export const joinExtents = (a: LogExtent, b: LogExtent): LogExtent => {
  const position = Math.max(a.position, b.position);
  const held = new Map<number, number>();
  for (const upstream of new Set([...a.held.keys(), ...b.held.keys()])) {
    const included = Math.max(includedOf(a, upstream), includedOf(b, upstream));
    if (included !== position) held.set(upstream, included);
  }
  return { position, held };
};
