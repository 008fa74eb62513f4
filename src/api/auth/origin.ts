import { isIP, type Socket } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { blockList, unmapped } from '../../providers/http/addressRules.ts';

/** Where a request comes from. `network`: what is counted as one client: an IPv4 address, or a /64 of IPv6. */
export type Origin = { ip: string; network: string; userAgent: string };

/** Of how many proxies the way is followed at most. */
const MAX_HOPS = 32;
const MAX_USER_AGENT = 500;
const NOWHERE = '0.0.0.0';

/** Whose word about a client is believed, and in which of its headers it stands. */
export type TrustedProxies = { trusts: (ip: string) => boolean; header: 'x-forwarded-for' | 'forwarded' };

/**
 * @param nets CIDR list, by comma or blank; empty = none
 * @throws Error that names an entry which is none
 */
export function readProxies(nets: string, header: TrustedProxies['header']): TrustedProxies {
  const entries = nets.split(/[\s,]+/).filter((entry) => entry !== '');
  const list = blockList(entries);
  const trusts = (ip: string) => list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
  return { trusts: entries.length === 0 ? () => false : trusts, header };
}

/**
 * The client of a request: the other end of its connection, or, when that is a trusted proxy, the last hop before it that is
 * none. What stands further left in the header anybody can have written.
 */
export function originOf({ proxies }: { proxies: TrustedProxies }, request: IncomingMessage): Origin {
  const userAgent = (request.headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT);
  const peer = peerOf(request.socket);
  if (!proxies.trusts(peer.ip)) return { ...peer, userAgent };
  const ip = clientBehind(proxies, peer.ip, request.headers[proxies.header]);
  return { ip, network: networkOf(ip), userAgent };
}

/** The other ends of connections: asked for once, not with every request. */
const peers = new WeakMap<Socket, Omit<Origin, 'userAgent'>>();

function peerOf(socket: Socket): Omit<Origin, 'userAgent'> {
  const known = peers.get(socket);
  if (known) return known;
  const ip = addressOf(socket.remoteAddress ?? '');
  const peer = { ip: ip ?? NOWHERE, network: networkOf(ip ?? NOWHERE) };
  if (ip !== undefined) peers.set(socket, peer); // one that has gone has none
  return peer;
}

function clientBehind(proxies: TrustedProxies, peer: string, header: string | string[] | undefined): string {
  const text = [header ?? ''].flat().join(',');
  const hops = proxies.header === 'forwarded' ? forwardedHops(text) : text.split(',');
  let client = peer;
  for (const hop of hops.slice(-MAX_HOPS).reverse()) {
    const address = addressOf(hop);
    // not an address: whoever wrote it is as far as can be known
    if (address === undefined) return client;
    client = address;
    if (!proxies.trusts(client)) return client;
  }
  return client;
}

/** The `for` of each element of a Forwarded header (RFC 7239), in order; one without is no address. */
function forwardedHops(text: string): string[] {
  const elements = text.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? [];
  return elements.map((element) => {
    const [, quoted, token] = /(?:^|;)\s*for\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))/i.exec(element) ?? [];
    return quoted?.replaceAll(/\\(.)/g, '$1') ?? token ?? '';
  });
}

/** An address as it is counted: IPv4 inside IPv6 as IPv4, without brackets, port and zone. Undefined for what is none. */
function addressOf(text: string): string | undefined {
  const trimmed = text.trim();
  const [, bracketed] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed) ?? [];
  const [, plain] = /^(\d[\d.]*):\d{1,5}$/.exec(trimmed) ?? [];
  const address = bracketed ?? plain ?? trimmed;
  return isIP(address) === 0 ? undefined : unmapped(address);
}

/** @param ip canonical, as `unmapped` gives it */
function networkOf(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
