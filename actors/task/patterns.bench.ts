/**
 * Events a second of one core through patterns: decoding, ordering, matching and publishing, as a partition's
 * task does them, and what of it is the decoding alone.
 *
 *     node --import tsx actors/task/patterns.bench.ts [events] [keys]
 *
 * Reports; asserts nothing about time. The checksum is over all that was published, so that a change that
 * loses or reorders a match shows: the same events give the same checksum on every machine. Events come in
 * batches of 1,000, up to 30 ms out of order; each is a login, of which one in five fails.
 */
import { createHash } from "node:crypto";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import {
  begin,
  field,
  match,
  noSkip,
  pattern,
  skipPastLastEvent,
  step,
  topic,
} from "../../projections/index.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { seeded } from "../accumulate/accumulators.suite.ts";
import { Intake } from "../intake/intake.ts";
import { makeCore } from "./cores.ts";

const BATCH = 1_000;
const [eventCount = 200_000, keyCount = 1_000] = process.argv.slice(2).map(Number);

const schemas = parseSchema(
  `syntax = "proto3"; message Login { bool ok = 1; string address = 2; double amount = 3; }`,
);
const logins = topic("logins", {
  schemas: ["logins.proto"],
  types: ["Login"],
  maxOutOfOrderness: 50,
});
const failed = field("ok").not();
const CASES = {
  "three failures in a row": pattern("consecutive", {
    source: logins,
    pattern: begin("failure", failed).times(3).consecutive().within("5 minutes"),
    skip: skipPastLastEvent(),
    values: { attempts: step("failure").count(), address: step("failure").field("address") },
  }),
  "failure, then success": pattern("followed", {
    source: logins,
    pattern: begin("failure", failed).followedBy("success", field("ok")).within("1 minute"),
    skip: noSkip(),
  }),
  "amount rises, greedy": pattern("rising", {
    source: logins,
    pattern: begin("low", field("amount").lt(20))
      .followedBy(
        "rise",
        field("amount").gt(step("rise").field("amount")).or(step("rise").count().eq(0)),
      )
      .oneOrMore()
      .consecutive()
      .greedy()
      .next("end")
      .within("5 minutes"),
    skip: skipPastLastEvent(),
    values: { rises: step("rise").count(), top: step("rise").field("amount"), ids: match.ids },
  }),
  "seldom: one event in 1,000 begins": pattern("seldom", {
    source: logins,
    pattern: begin("huge", field("amount").gt(99.9))
      .followedBy("failure", failed)
      .within("1 minute"),
  }),
};

const random = seeded(7);
const encoder = schemas.toBinary.bind(schemas);
const batches: Uint8Array[] = [];
for (let at = 0; at < eventCount; at += BATCH) {
  const events = Array.from({ length: Math.min(BATCH, eventCount - at) }, (_, i) => ({
    id: `login-${at + i}`,
    type: "Login",
    key: `user-${Math.floor(random() * keyCount)}`,
    eventTime: 1_000_000 + (at + i) * 10 - Math.floor(random() * 30),
    data: {
      $case: "protobuf" as const,
      value: Buffer.from(
        encoder(
          "Login",
          JSON.stringify({
            ok: random() > 0.2,
            address: `10.0.0.${Math.floor(random() * 256)}`,
            amount: random() * 100,
          }),
        ),
      ),
    },
  }));
  batches.push(
    RecordBatch.encode({
      ingestTime: 1_000_000 + at * 10,
      events,
      tick: undefined,
      rekeyed: undefined,
    }).finish(),
  );
}

const cpuMs = (run: () => void): number => {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};

for (const [name, definition] of Object.entries(CASES)) {
  const plan = planProjection(definition, planTopic(logins, schemas));
  let best = Number.POSITIVE_INFINITY;
  let decoding = Number.POSITIVE_INFINITY;
  let results = 0;
  let checksum = "";
  for (let round = 0; round < 3; round++) {
    const alone = new Intake(plan.topic, plan.columns);
    decoding = Math.min(
      decoding,
      cpuMs(() => batches.forEach((batch, i) => alone.read(i + 1, batch))),
    );
    const intake = new Intake(plan.topic, plan.columns);
    const core = makeCore(plan, 1, 0);
    const hash = createHash("sha256");
    results = 0;
    best = Math.min(
      best,
      cpuMs(() => {
        batches.forEach((batch, i) => {
          core.apply(intake.read(i + 1, batch));
          const draft = core.take();
          results += draft.updates;
          for (const fragment of draft.fragments) hash.update(fragment);
        });
        hash.update(core.digest());
      }),
    );
    checksum = hash.digest("hex").slice(0, 16);
  }
  const rate = Math.round(eventCount / (best / 1_000));
  process.stdout.write(
    `${name.padEnd(34)} ${rate.toLocaleString("en").padStart(9)} events/s   ` +
      `decoding ${Math.round((100 * decoding) / best)} %   ` +
      `${results.toLocaleString("en").padStart(7)} results   checksum ${checksum}\n`,
  );
}
