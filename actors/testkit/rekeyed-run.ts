/** Both stages of a re-keyed projection and the relay between them, without I/O: a test says how they interleave. */
import fc from "fast-check";
import { expect } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";
import { makeCore } from "../task/cores.ts";
import type { TaskCore } from "../task/task-core.ts";
import { RoutingStage } from "./routing-stage.ts";
import type { RoutedBatch } from "./routing-stage.ts";
import { digestHex } from "./run.ts";

/** The second stage of all partitions, and what both stages published. */
export class RekeyedRun {
  readonly stage: RoutingStage;
  readonly updates: Update[] = [];
  readonly deadLetters: DeadLetter[] = [];
  /** By partition: the whole re-keyed log. */
  readonly logs: Uint8Array[][];
  readonly #plan: ProjectionPlan;
  #lanes: { intake: RekeyedIntake; core: TaskCore<EventBatch> }[];

  /** `limits`: of what may wait, before upstreams that are ahead are held back. */
  constructor(plan: ProjectionPlan, limits?: AlignmentLimits) {
    this.#plan = plan;
    this.stage = new RoutingStage(plan, 1, limits);
    this.logs = Array.from({ length: rekeyOf(plan).partitions }, () => []);
    this.#lanes = this.logs.map((_, partition) => this.#lane(partition));
  }

  #lane(partition: number) {
    const rekey = rekeyOf(this.#plan);
    return {
      intake: new RekeyedIntake(this.#plan, rekey),
      core: makeCore(rekey.keyed, 1, partition),
    };
  }

  get cores(): readonly TaskCore<EventBatch>[] {
    return this.#lanes.map(({ core }) => core);
  }

  /** One record batch of an upstream. */
  route(upstream: number, batch: Uint8Array): void {
    this.deadLetters.push(...this.stage.route(upstream, batch));
  }

  /** One record batch of a topic, to all that read it. */
  send(topic: string, partition: number, batch: Uint8Array): void {
    this.deadLetters.push(...this.stage.append(topic, partition, batch));
  }

  append(batches: readonly RoutedBatch[]): void {
    for (const { partition, data } of batches) {
      const { intake, core } = this.#lanes[partition]!;
      core.apply(intake.read(this.logs[partition]!.push(data), data));
      for (const fragment of core.take().fragments) {
        const commit = Commit.decode(fragment);
        this.updates.push(...commit.updates);
        this.deadLetters.push(...commit.deadLetters);
      }
    }
  }

  relay(to: "all" | "waiting" = "all"): void {
    this.append(this.stage.relay(to));
  }

  restart(): void {
    this.#lanes = this.#lanes.map((old, partition) => {
      const fresh = this.#lane(partition);
      fresh.intake.restore(old.intake.snapshot());
      fresh.core.restore(old.core.snapshot());
      expect(digestHex(fresh.core)).toBe(digestHex(old.core));
      return fresh;
    });
  }
}

/** What happens between two record batches of the sources. */
export type Chance =
  "relay all" | "relay waiting" | "cut relay" | "restart relay" | "restart tasks" | "restart" | "-";

export const takeChance = (run: RekeyedRun, chance: Chance): void => {
  if (chance === "relay all") run.relay();
  else if (chance === "relay waiting") run.relay("waiting");
  else if (chance === "cut relay") {
    run.append(run.stage.relay("all", 1));
    run.append(run.stage.restartRelay());
  } else if (chance === "restart relay") run.append(run.stage.restartRelay());
  else if (chance === "restart tasks") expect(run.stage.restartTasks()).toEqual([]);
  else if (chance === "restart") run.restart();
};

/** So few events may wait that partitions which are ahead are held back all the time; or as many as do. */
export const alignments: fc.Arbitrary<AlignmentLimits | undefined> = fc.option(
  fc.nat(8).map((events) => ({ events, bytes: Infinity })),
  { nil: undefined },
);

export const chances: fc.Arbitrary<Chance> = fc.constantFrom(
  "relay all",
  "relay waiting",
  "cut relay",
  "restart relay",
  "restart tasks",
  "restart",
  "-",
  "-",
  "-",
);
