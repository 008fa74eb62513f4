import net from 'node:net';

/** A TCP port on loopback that was free a moment ago: the preferred one if it is. */
export async function freePort(preferred = 0): Promise<number> {
  return (await tryPort(preferred)) ?? (await tryPort(0)) ?? 0;
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = net.createServer();
    server.once('error', () => {
      done(undefined);
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        done(typeof address === 'object' && address ? address.port : undefined);
      });
    });
  });
}
