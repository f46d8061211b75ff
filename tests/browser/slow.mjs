// A slow line between browser and server. Chromium's own throttling leaves WebSockets alone, so this one is made of TCP.
import { connect, createServer } from 'node:net';

/** One direction: every chunk leaves when the line is free again, and arrives `delayMs` later. */
class Direction {
  #freeAt = 0;
  #carried = 0;

  constructor(bytesPerSecond, delayMs) {
    this.bytesPerMs = bytesPerSecond / 1000;
    this.delayMs = delayMs;
  }

  get carried() {
    return this.#carried;
  }

  /** All connections share the line, as they do at home; a source is paused while its bytes are on their way. */
  join(from, to) {
    from.on('data', (chunk) => {
      from.pause();
      const now = performance.now();
      this.#freeAt = Math.max(now, this.#freeAt) + chunk.length / this.bytesPerMs;
      this.#carried += chunk.length;
      setTimeout(() => from.resume(), this.#freeAt - now);
      setTimeout(() => to.writable && to.write(chunk), this.#freeAt - now + this.delayMs);
    });
    from.on('end', () => setTimeout(() => to.end(), Math.max(0, this.#freeAt - performance.now()) + this.delayMs));
    from.on('error', () => to.destroy());
    from.on('close', () => setTimeout(() => to.destroy(), Math.max(0, this.#freeAt - performance.now()) + this.delayMs));
  }
}

/** Listens on a free port and carries every connection to `port`, at `bitsPerSecond` each way and `roundTripMs`. */
export async function slowLine(port, { bitsPerSecond, roundTripMs }) {
  const up = new Direction(bitsPerSecond / 8, roundTripMs / 2);
  const down = new Direction(bitsPerSecond / 8, roundTripMs / 2);
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    up.join(near, far);
    down.join(far, near);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    /** Bytes that came down so far. */
    get downloaded() {
      return down.carried;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
