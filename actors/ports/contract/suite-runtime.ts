/**
 * Runs the tests of a contract suite on one build of a layer: the adapter under test, and a rig that
 * does to its store what the port cannot.
 */
import { ManagedRuntime } from "effect";
import type { Effect, Layer } from "effect";
import { afterAll, beforeAll, it } from "vitest";

/** `test(name, effect)` in the surrounding `describe`. */
export const suiteRuntime = <R, E>(layer: Layer.Layer<R, E>) => {
  let runtime: ManagedRuntime.ManagedRuntime<R, E>;
  beforeAll(async () => {
    runtime = ManagedRuntime.make(layer);
    await runtime.context();
  });
  afterAll(() => runtime.dispose());
  return <A, F>(name: string, effect: Effect.Effect<A, F, R>): void => {
    it(name, async () => {
      await runtime.runPromise(effect);
    });
  };
};
