/** A server that cannot be used is refused at the start, by name. */
import { Effect } from "effect";
import { expect, it } from "vitest";
import { connect } from "./connection.ts";
import { greetingServer } from "./testing.ts";

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect);

it("names the address that cannot be reached", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(connect({ url: "nats://127.0.0.1:9", connectWithinMs: 300 }));
    expect(error._tag).toBe("NatsUnreachable");
    expect(error.message).toBe("NATS at nats://127.0.0.1:9 cannot be reached: CONNECTION_REFUSED");
  }).pipe(Effect.scoped, run));

it("C2: refuses a server that is too old, and names both versions", () =>
  Effect.gen(function* () {
    for (const version of ["2.9.10", "2.11.99", "1.99.0"]) {
      const url = yield* greetingServer(version);
      const error = yield* Effect.flip(connect({ url }));
      expect(error).toMatchObject({ _tag: "NatsTooOld", url, found: version, required: "2.12" });
      expect(error.message).toContain(`is version ${version}, but 2.12 or newer is needed`);
    }
  }).pipe(Effect.scoped, run));

it("C2: refuses a server without JetStream", () =>
  Effect.gen(function* () {
    for (const version of ["2.12.0", "2.15.1-beta.1", "3.0.0"]) {
      const url = yield* greetingServer(version);
      const error = yield* Effect.flip(connect({ url, connectWithinMs: 300 }));
      expect(error).toMatchObject({ _tag: "JetStreamMissing", url });
    }
  }).pipe(Effect.scoped, run));
