import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** A wire on loopback that can be cut. */
export type Proxy = {
  address: string;
  /** `closed`: connections end and new ones are refused. `silent`: they stay and nothing passes, as when packets are lost. */
  cut: (way: 'closed' | 'silent') => void;
  /** What was silent is closed now: nobody knows what was lost. */
  mend: () => void;
  close: () => Promise<void>;
};

/** Passes connections on to `target` (host:port). */
export async function openProxy(target: string): Promise<Proxy> {
  const [host = '127.0.0.1', port = '0'] = target.split(':');
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: 'open' | 'closed' | 'silent' = 'open';
  const server = net.createServer((near) => {
    if (state === 'closed') {
      near.destroy();
      return;
    }
    const far = net.connect(Number(port), host);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.setNoDelay(true).on('error', end).on('close', end);
    if (state === 'open') join(pair);
  });
  const endAll = () => {
    for (const socket of [...pairs].flat()) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: (way) => {
      state = way;
      if (way === 'closed') endAll();
      else for (const socket of [...pairs].flat()) socket.unpipe().pause();
    },
    mend: () => {
      if (state === 'silent') endAll();
      state = 'open';
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      endAll();
      await closed;
    },
  };
}

function join([near, far]: readonly [Socket, Socket]): void {
  near.pipe(far);
  far.pipe(near);
}
