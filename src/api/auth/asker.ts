import type { IncomingMessage } from 'node:http';

/** Longest User-Agent that is kept, characters. */
const MAX_AGENT = 300;

/** Where a request comes from, as its sessions show it. */
export const askerOf = (raw: IncomingMessage): { ip: string; userAgent: string } => ({
  ip: raw.socket.remoteAddress ?? '',
  userAgent: (raw.headers['user-agent'] ?? '').slice(0, MAX_AGENT),
});
