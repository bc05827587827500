/**
 * Runs the tests of a contract suite on one build of a layer: the adapter under test, and a rig that
 * does to its store what the port cannot.
 */
import { Layer, ManagedRuntime, References } from "effect";
import type { Effect } from "effect";
import { afterAll, beforeAll, it } from "vitest";

/** Faults are what these tests are about: no warning of one is news. */
const quiet = Layer.succeed(References.MinimumLogLevel, "Error");

/** `test(name, effect)` in the surrounding `describe`. */
export const suiteRuntime = <R, E>(layer: Layer.Layer<R, E>) => {
  let runtime: ManagedRuntime.ManagedRuntime<R, E>;
  beforeAll(async () => {
    runtime = ManagedRuntime.make(layer.pipe(Layer.provideMerge(quiet)));
    await runtime.context();
  });
  afterAll(() => runtime.dispose());
  return <A, F>(name: string, effect: Effect.Effect<A, F, R>): void => {
    it(name, async () => {
      await runtime.runPromise(effect);
    });
  };
};
