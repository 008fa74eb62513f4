import type { IncomingMessage } from 'node:http';

/** Of whoever is at the other end of the connection; IPv4 as such. */
export const addressOf = (request: Pick<IncomingMessage, 'socket'>): string | null =>
  request.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? null;
