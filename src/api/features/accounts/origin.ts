import type { IncomingMessage } from 'node:http';

/** Where a request comes from. `network`: what is counted as one client: an IPv4 address, or a /64 of IPv6. */
export type Origin = { ip: string; network: string; userAgent: string };

/** By the connection alone: what headers say of other addresses anybody can write. */
export function originOf(request: IncomingMessage): Origin {
  const ip = (request.socket.remoteAddress ?? '0.0.0.0').replace(/^::ffff:(?=\d+\.)/, '');
  const network = ip.includes(':') ? new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::')[0]?.split(':').slice(0, 4).join(':') : ip;
  return { ip, network: network ?? ip, userAgent: request.headers['user-agent'] ?? '' };
}
