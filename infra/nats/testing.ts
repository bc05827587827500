/**
 * For tests: the adapters on a server of their own, a proxy between the two that loses what a test
 * names, and a server that only says which version it is.
 */
import { createServer, connect as dial } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { Context, Effect, Layer } from "effect";
import type { Scope } from "effect";
import { startTestServers } from "../servers/testing.ts";
import type { TestServers } from "../servers/testing.ts";
import { natsLayer } from "./layer.ts";
import { provision } from "./provision.ts";
import type { TopicStreams } from "./provision.ts";

export type Direction = "to server" | "to client";

interface Loss {
  readonly direction: Direction;
  readonly containing: string;
  readonly done: () => void;
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
  );

export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #losses: Loss[] = [];
  #url = "";

  constructor(serverPort: number) {
    this.#server = createServer((client) => {
      const upstream = dial(serverPort, "127.0.0.1");
      this.#join(client, upstream, "to server");
      this.#join(upstream, client, "to client");
    });
  }

  get url(): string {
    return this.#url;
  }

  async start(): Promise<void> {
    this.#url = `nats://127.0.0.1:${await listen(this.#server)}`;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Drops the next data with this text in it, and its connection. Resolves when that has happened. */
  loseNext(direction: Direction, containing: string): Promise<void> {
    return new Promise((done) => this.#losses.push({ direction, containing, done }));
  }

  #join(from: Socket, to: Socket, direction: Direction): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk: Buffer) => {
      const loss = this.#losses.find(
        (one) => one.direction === direction && chunk.includes(one.containing),
      );
      if (loss === undefined) {
        to.write(chunk);
        return;
      }
      this.#losses = this.#losses.filter((one) => one !== loss);
      from.destroy();
      to.destroy();
      loss.done();
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}

export const lossyProxy = (serverPort: number): Effect.Effect<LossyProxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const proxy = new LossyProxy(serverPort);
      await proxy.start();
      return proxy;
    }),
    (proxy) => Effect.sync(() => proxy.stop()),
  );

/** Greets as a nats-server of some version, answers pings, and has nobody to take a request. */
export const greetingServer = (version: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const info = { server_id: "S", version, headers: true, max_payload: 1_048_576, proto: 1 };
      const server = createServer((socket) => {
        socket.write(`INFO ${JSON.stringify(info)}\r\n`);
        socket.on("error", () => socket.destroy());
        socket.on("data", (chunk) => {
          if (chunk.includes("PING\r\n")) socket.write("PONG\r\n");
          const reply = /PUB \S+ (_INBOX\S+) /.exec(chunk.toString("latin1"))?.[1];
          if (reply !== undefined) {
            const status = "NATS/1.0 503\r\n\r\n";
            socket.write(`HMSG ${reply} 1 ${status.length} ${status.length}\r\n${status}\r\n`);
          }
        });
      });
      return { server, url: `nats://127.0.0.1:${await listen(server)}` };
    }),
    ({ server }) => Effect.sync(() => server.close()),
  ).pipe(Effect.map(({ url }) => url));

/** The servers of a test, which it may kill. */
export class Servers extends Context.Service<Servers, TestServers>()("infra/nats/Servers") {
  static readonly layer: Layer.Layer<Servers> = Layer.effect(
    Servers,
    Effect.acquireRelease(
      Effect.promise(() => startTestServers()),
      (running) => Effect.promise(() => running.dispose()),
    ),
  );
}

/** The proxy of a test, between the adapters and the server. */
export class Proxy extends Context.Service<Proxy, LossyProxy>()("infra/nats/Proxy") {
  static readonly layer: Layer.Layer<Proxy, never, Servers> = Layer.effect(
    Proxy,
    Effect.flatMap(Servers, ({ nats }) => lossyProxy(nats.port)),
  );
}

/** All adapters at one address, with their streams. */
const adaptersAt = (url: string, topics: readonly TopicStreams[]) =>
  Layer.effectDiscard(provision({ topics })).pipe(Layer.provideMerge(natsLayer({ url })));

export const natsTestLayer = (...topics: readonly TopicStreams[]) =>
  Layer.unwrap(Effect.map(Servers, ({ natsUrl }) => adaptersAt(natsUrl, topics))).pipe(
    Layer.provideMerge(Servers.layer),
  );

export const proxiedNatsTestLayer = (...topics: readonly TopicStreams[]) =>
  Layer.unwrap(Effect.map(Proxy, ({ url }) => adaptersAt(url, topics))).pipe(
    Layer.provideMerge(Proxy.layer),
    Layer.provideMerge(Servers.layer),
  );
