/**
 * A wider receive window for a grpc-js server. Its option `grpc-node.flow_control_window` reaches
 * clients only (grpc-node#3058), and with HTTP/2's default of 64 KiB a sender waits for a round trip
 * after each batch: measured 3-5 M events/s in 48 KiB messages, and 11-13 M with 1 MiB.
 *
 * W1. Touches this one server, not node:http2. A grpc-js with other internals than 1.14 keeps its
 *     own window; a test says so.
 */
import type { Http2Server, ServerHttp2Session, Settings } from "node:http2";
import type { Server, ServerCredentials } from "@grpc/grpc-js";

export const RECEIVE_WINDOW_BYTES = 1024 * 1024;

interface ServerInternals {
  commonServerOptions?: { settings?: Settings };
  createHttp2Server?: (credentials: ServerCredentials) => Http2Server;
}

export const widenReceiveWindow = (server: Server): void => {
  const internals = server as unknown as ServerInternals;
  const options = internals.commonServerOptions;
  const create = internals.createHttp2Server;
  if (options === undefined || typeof create !== "function") return;
  // Of each stream.
  options.settings = { ...options.settings, initialWindowSize: RECEIVE_WINDOW_BYTES };
  internals.createHttp2Server = (credentials) => {
    const http2Server = create.call(server, credentials);
    // Of each connection.
    http2Server.on("session", (session: ServerHttp2Session) => {
      session.setLocalWindowSize(RECEIVE_WINDOW_BYTES);
    });
    return http2Server;
  };
};
