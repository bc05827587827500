/** Why a query is not answered: a gRPC status, with words that say what to do. */
import { status } from "@grpc/grpc-js";
import { Schema } from "effect";
import { suggestion } from "../../projections/definition/did-you-mean.ts";
import { fieldStatus, plainStatus, retryStatus } from "../ingest/status.ts";
import type { CallStatus } from "../ingest/status.ts";
import type { ResultView } from "./result-view.ts";

export class QueryRefused extends Schema.TaggedError<QueryRefused>()("QueryRefused", {
  status: Schema.declare((value: unknown): value is CallStatus => typeof value === "object"),
}) {
  override get message(): string {
    return this.status.details;
  }
}

const RETRY_DELAY_MS = 1_000;

export const refused = (code: status, details: string): QueryRefused =>
  new QueryRefused({ status: plainStatus(code, details) });

export const invalidField = (field: string, reason: string): QueryRefused =>
  new QueryRefused({ status: fieldStatus(field, reason) });

export const unavailable = (details: string): QueryRefused =>
  new QueryRefused({ status: retryStatus(status.UNAVAILABLE, details, RETRY_DELAY_MS) });

export const unknownProjection = (view: ResultView, projection: string): QueryRefused => {
  const known = view.projections();
  const hint =
    known.length === 0 ? "; there are none yet" : suggestion(projection, known, "projections");
  return refused(status.NOT_FOUND, `unknown projection ${JSON.stringify(projection)}${hint}`);
};

export const unknownVersion = (
  view: ResultView,
  projection: string,
  version: number,
): QueryRefused =>
  refused(
    status.NOT_FOUND,
    `projection ${projection} has no version ${version}; ` +
      `it has ${view.versions(projection).join(", ")}`,
  );

export const promotedAway = (projection: string, from: number, to: number): QueryRefused =>
  refused(
    status.ABORTED,
    `version ${to} of ${projection} was promoted, and these were updates of version ${from}: ` +
      "subscribe afresh for the results of the active version, or name a version to stay with it",
  );

export const noLongerRetained = (why: string): QueryRefused =>
  refused(
    status.OUT_OF_RANGE,
    `updates after this place are no longer retained (${why}): subscribe afresh, without a token`,
  );
