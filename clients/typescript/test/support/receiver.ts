import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * How a request is answered; `reset` and `hang` give no answer, `half` breaks off in the middle of one, and
 * `stall` stops there.
 */
export type Reply =
  | { status: number; headers?: Record<string, string>; body?: string }
  | 'reset'
  | 'hang'
  | 'half'
  | 'stall';

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** When it was there, in milliseconds. */
  at: number;
}

/** A real HTTP server that records what comes and can misbehave as servers do. */
export class Receiver {
  readonly url: string;
  readonly received: Received[] = [];
  readonly #server: Server;
  readonly #replies: Reply[];

  private constructor(server: Server, replies: Reply[]) {
    this.#server = server;
    this.#replies = replies;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Gives each request the next of these replies; the last one stays. */
  static async start(...replies: Reply[]): Promise<Receiver> {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        receiver.received.push({ method, path, headers, body: Buffer.concat(parts), at: performance.now() });
        const reply = receiver.#next();
        if (reply === 'reset') {
          request.socket.resetAndDestroy();
        } else if (reply === 'half' || reply === 'stall') {
          response.writeHead(200, { 'content-length': '100' });
          response.write('{"id":', () => {
            if (reply === 'half') request.socket.resetAndDestroy();
          });
        } else if (reply !== 'hang') {
          response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
          response.end(reply.body);
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const receiver = new Receiver(server, replies);
    return receiver;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #next(): Reply {
    const reply = 1 < this.#replies.length ? this.#replies.shift() : this.#replies[0];
    return reply ?? { status: 200, body: '{}' };
  }
}

/** A good answer. */
export function good(body: unknown): Reply {
  return { status: 200, body: JSON.stringify(body) };
}

/** An answer with the server's error body. */
export function bad(status: number, code: string, headers: Record<string, string> = {}): Reply {
  const message = `it is ${code}`;
  return { status, headers, body: JSON.stringify({ success: false, error: { code, message }, code, message }) };
}
