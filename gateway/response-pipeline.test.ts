import type { ServerInterceptingCallInterface, ServerMethodDefinition } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { IN_FLIGHT_BYTES, IN_FLIGHT_MESSAGES, pipelineResponses } from "./response-pipeline.ts";

const setUp = (responseStream: boolean) => {
  const sent: unknown[] = [];
  const taken: (() => void)[] = [];
  const next = {
    sendMessage: (message: unknown, callback: () => void) => {
      sent.push(message);
      taken.push(callback);
    },
    sendStatus: (status: unknown) => sent.push(status),
  } as unknown as ServerInterceptingCallInterface;
  const method = { responseStream } as ServerMethodDefinition<unknown, unknown>;
  return { sent, taken, next, call: pipelineResponses(method, next) };
};

it("hands messages down in order, without waiting for the socket (L2)", () => {
  const { call, sent } = setUp(true);
  let written = 0;
  for (let i = 0; i < 10; i++) call.sendMessage(Buffer.from([i]), () => written++);
  call.sendStatus({ code: 0, details: "OK" });
  expect(written).toBe(10);
  expect(sent).toEqual([
    ...Array.from({ length: 10 }, (_, i) => Buffer.from([i])),
    { code: 0, details: "OK" },
  ]);
});

it.each([
  ["many messages", IN_FLIGHT_MESSAGES, Buffer.alloc(1)],
  ["large messages", 4, Buffer.alloc(IN_FLIGHT_BYTES / 4)],
  ["objects of unknown size", IN_FLIGHT_BYTES / 4096, {}],
])("holds the stream back after %s until the socket takes one (L1)", (_name, count, message) => {
  const { call, taken } = setUp(true);
  let written = 0;
  for (let i = 0; i < count; i++) call.sendMessage(message, () => written++);
  expect(written).toBe(count - 1);
  taken[0]();
  expect(written).toBe(count);
  taken[1]();
  expect(written).toBe(count);
});

it("leaves unary calls alone", () => {
  const { call, next } = setUp(false);
  expect(call).toBe(next);
});
