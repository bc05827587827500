/** I1 to I3 of the inbox, and the ticks that its timeouts are counted in. */
import type { Msg } from "nats";
import { expect, it } from "vitest";
import { ReplyInbox } from "./reply-inbox.ts";
import type { Reply } from "./reply-inbox.ts";
import { Ticker, tickMs } from "./ticker.ts";

const setUp = () => {
  const ticker = new Ticker();
  const inbox = new ReplyInbox("_INBOX.x.", ticker);
  const replies: [name: string, reply: Reply][] = [];
  const ask = (name: string, timeoutMs = 1_000) =>
    inbox.expect(timeoutMs, (reply) => replies.push([name, reply]));
  const tick = (times: number) => {
    for (let index = 0; index < times; index++) ticker.tick();
  };
  return { ticker, inbox, replies, ask, tick };
};

const answer = (subject: string, text: string, code = 0): Msg =>
  ({ subject, data: new TextEncoder().encode(text), headers: { code } }) as unknown as Msg;

it("I1: gives each answer to the request it belongs to, once", () => {
  const { inbox, replies, ask } = setUp();
  const [first, second] = [ask("first"), ask("second")];
  inbox.receive(null, answer(second.subject, "2"));
  inbox.receive(null, answer(first.subject, "1"));
  inbox.receive(null, answer(first.subject, "again"));
  inbox.loseAll("disconnected");
  const data = (text: string) => ({ kind: "data", data: new TextEncoder().encode(text) });
  expect(replies).toEqual([
    ["second", data("2")],
    ["first", data("1")],
  ]);
});

it("I1: an empty answer with status 503 means that nobody has received the request", () => {
  const { inbox, replies, ask } = setUp();
  inbox.receive(null, answer(ask("a").subject, "", 503));
  expect(replies).toEqual([["a", { kind: "lost", reason: "no responders" }]]);
});

it("I1, I3: times out after its ticks, not before, and drops what comes later", () => {
  const { inbox, replies, ask, tick } = setUp();
  const { subject } = ask("slow", 4 * tickMs);
  tick(4);
  expect(replies).toEqual([]);
  tick(1);
  expect(replies).toEqual([["slow", { kind: "lost", reason: "timeout" }]]);
  inbox.receive(null, answer(subject, "late"));
  tick(100);
  expect(replies).toHaveLength(1);
});

it("I1: loses all that is pending in the order in which it was asked, and no request made then", () => {
  const { inbox, replies, ask } = setUp();
  ask("a");
  inbox.expect(1_000, (reply) => {
    replies.push(["b", reply]);
    ask("anew");
  });
  ask("c");
  inbox.loseAll("disconnected");
  expect(replies.map(([name]) => name)).toEqual(["a", "b", "c"]);
  inbox.loseAll("closed");
  expect(replies.at(-1)).toEqual(["anew", { kind: "lost", reason: "closed" }]);
});

it("I1: a request that was cancelled is never settled", () => {
  const { inbox, replies, ask, tick } = setUp();
  const { subject, token } = ask("cancelled", tickMs);
  inbox.cancel(token);
  inbox.receive(null, answer(subject, "x"));
  tick(10);
  inbox.loseAll("disconnected");
  expect(replies).toEqual([]);
});

it("a timer that was taken back does not fire, one set within another waits its own time", () => {
  const { ticker, tick } = setUp();
  const fired: string[] = [];
  const cancel = ticker.after(tickMs, () => fired.push("cancelled"));
  ticker.after(tickMs, () => {
    fired.push("outer");
    ticker.after(tickMs, () => fired.push("inner"));
  });
  cancel();
  tick(2);
  expect(fired).toEqual(["outer"]);
  tick(2);
  expect(fired).toEqual(["outer", "inner"]);
});
