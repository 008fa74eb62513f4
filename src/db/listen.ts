import pg from 'pg';

export type Listener = { close: () => Promise<void> };

export type ListenOptions = {
  url: string;
  /** Connection options, as of `startupOptions`. */
  options?: string;
  channels: readonly string[];
  onNotice: (channel: string, payload: string) => void;
  /** Called on every new LISTEN: whatever was notified while nobody listened is lost, so look for yourself. */
  onListen: () => void;
  onError?: (error: unknown) => void;
};

const RECONNECT_MS = 300;

/** One dedicated connection that listens for ever; it connects again when it breaks. Notices are hints. */
export function listen(options: ListenOptions): Listener {
  const closing = Promise.withResolvers<undefined>();
  let closed = false;
  const isClosed = () => closed;
  const once = async () => {
    const client = new pg.Client({
      connectionString: options.url,
      keepAlive: true,
      ...(options.options ? { options: options.options } : {}),
    });
    const broken = new Promise<void>((resolve) => {
      client.on('error', () => {
        resolve();
      });
      client.on('end', resolve);
    });
    try {
      await client.connect();
      client.on('notification', (notice) => {
        options.onNotice(notice.channel, notice.payload ?? '');
      });
      await client.query(options.channels.map((channel) => `listen ${client.escapeIdentifier(channel)}`).join('; '));
      if (!closed) options.onListen();
      await Promise.race([broken, closing.promise]);
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const loop = async () => {
    while (!isClosed()) {
      await once().catch((error: unknown) => options.onError?.(error));
      if (!isClosed()) await Promise.race([new Promise((resolve) => setTimeout(resolve, RECONNECT_MS)), closing.promise]);
    }
  };
  const done = loop();
  return {
    close: async () => {
      closed = true;
      closing.resolve(undefined);
      await done;
    },
  };
}
