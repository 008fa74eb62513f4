import type { EventEmitter } from 'node:events';
import type { Socket } from 'socket.io';

type Connection = Socket['conn'];

/** The packet queue and the web socket are engine.io's own; it offers no figure for them. */
const insideOf = (connection: Connection) =>
  connection as unknown as {
    writeBuffer: { data?: string | Buffer }[];
    transport: { socket?: { bufferedAmount?: number; _socket?: EventEmitter } };
  };

/** Bytes that wait for the network on a connection: packets not handed over yet and what the web socket holds. */
export function buffered(connection: Connection): number {
  const inside = insideOf(connection);
  let bytes = inside.transport.socket?.bufferedAmount ?? 0;
  for (const packet of inside.writeBuffer) bytes += packet.data?.length ?? 0;
  return bytes;
}

/** Resolves when at most `low` bytes wait, or the connection is gone. */
export function drained(connection: Connection, low: number): Promise<void> {
  if (buffered(connection) <= low) return Promise.resolve();
  const network = insideOf(connection).transport.socket?._socket; // frames are written past engine.io, which then tells no drain
  return new Promise((resolve) => {
    const look = () => {
      if (connection.readyState === 'open' && buffered(connection) > low) return;
      connection.off('drain', look).off('close', look);
      network?.off('drain', look);
      resolve();
    };
    connection.on('drain', look).on('close', look);
    network?.on('drain', look);
  });
}
