/**
 * Lets a stream's responses leave several at a time. A grpc-js stream hands the next message down
 * only when the socket has taken the one before, one turn of the event loop each; here the next is
 * handed down at once, and HTTP/2 joins what has gathered into one write. Measured with one event a
 * message and an acknowledgement each: twice as many events per CPU-second.
 *
 * L1. At most IN_FLIGHT_MESSAGES and IN_FLIGHT_BYTES of a call are on their way to the socket: a
 *     client that does not read still holds back its server.
 * L2. Order is kept: messages go down in the order of the writes, the status after the last.
 */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from "@grpc/grpc-js";

export const IN_FLIGHT_MESSAGES = 256;
export const IN_FLIGHT_BYTES = 256 * 1024;
/** What a message that is not serialized yet is taken to weigh. */
const OBJECT_BYTES = 4096;

class PipelinedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  #messages = 0;
  #bytes = 0;
  /** Tells the stream that its last write is done: put off while too much is in flight. */
  #held: (() => void) | undefined;

  constructor(call: ServerInterceptingCallInterface) {
    super(call);
    this.#call = call;
  }

  override sendMessage(message: unknown, written: () => void): void {
    const bytes = message instanceof Uint8Array ? message.length : OBJECT_BYTES;
    this.#messages++;
    this.#bytes += bytes;
    this.#call.sendMessage(message, () => {
      this.#messages--;
      this.#bytes -= bytes;
      const held = this.#held;
      this.#held = undefined;
      held?.();
    });
    if (this.#messages < IN_FLIGHT_MESSAGES && this.#bytes < IN_FLIGHT_BYTES) written();
    else this.#held = written;
  }
}

export const pipelineResponses: ServerInterceptor = (method, call) =>
  method.responseStream
    ? new PipelinedCall(call)
    : // Its interface is all that is used of it, and a wrapper would cost every unary call.
      (call as ServerInterceptingCall);
