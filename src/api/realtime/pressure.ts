import type { Socket } from 'socket.io';

type Connection = Socket['conn'];

/** Bytes that wait for the network on a connection: packets not handed over yet and what the web socket holds. */
export function buffered(connection: Connection): number {
  // the packet queue and the web socket are engine.io's own; it offers no figure for them
  const inside = connection as unknown as {
    writeBuffer: { data?: string | Buffer }[];
    transport: { socket?: { bufferedAmount?: number } };
  };
  let bytes = inside.transport.socket?.bufferedAmount ?? 0;
  for (const packet of inside.writeBuffer) bytes += packet.data?.length ?? 0;
  return bytes;
}

/** Resolves when at most `low` bytes wait, or the connection is gone. */
export function drained(connection: Connection, low: number): Promise<void> {
  if (buffered(connection) <= low) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (connection.readyState === 'open' && buffered(connection) > low) return;
      connection.off('drain', look).off('close', look);
      resolve();
    };
    connection.on('drain', look).on('close', look);
  });
}
