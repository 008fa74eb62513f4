import { BlockList, isIP } from 'node:net';

export type AddressRules = {
  /** Whether a task may connect to this address. @param host as the URL names it, lower case, IPv6 without brackets */
  allows: (address: string, port: number, host: string) => boolean;
};

/** Everything that is not the public internet: private, shared, loopback, link-local (cloud metadata), documentation, multicast, reserved. */
const NOT_PUBLIC_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** IPv6 is public only in 2000::/3, and there not where it embeds or tunnels IPv4 or is for documentation. */
const PUBLIC_V6 = '2000::/3';
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

/**
 * @param allow private addresses that may be reached all the same: a list, by comma or blank, of `host:port`
 *   (`127.0.0.1:8080`, `[::1]:8080`, `name:8080`) and CIDR (`10.0.0.0/8`)
 * @throws Error that names an entry which is neither
 */
export function createAddressRules(allow: string): AddressRules {
  const refused = blockList(NOT_PUBLIC_V4);
  const refusedV6 = blockList(NOT_PUBLIC_V6);
  const publicV6 = blockList([PUBLIC_V6]);
  const entries = allow.split(/[\s,]+/).filter((entry) => entry !== '');
  const allowedNets = blockList(entries.filter((entry) => entry.includes('/')));
  const allowedHosts = new Set(entries.filter((entry) => !entry.includes('/')).map(toHostPort));

  const isPublic = (address: string) =>
    isIP(address) === 4 ? !refused.check(address, 'ipv4') : publicV6.check(address, 'ipv6') && !refusedV6.check(address, 'ipv6');

  return {
    allows: (raw, port, host) => {
      const address = unmapped(raw);
      const family = isIP(address);
      if (family === 0) return false;
      if (isPublic(address) || allowedNets.check(address, family === 4 ? 'ipv4' : 'ipv6')) return true;
      return allowedHosts.has(`${address}:${port}`) || allowedHosts.has(`${host}:${port}`);
    },
  };
}

/** IPv4 inside `::ffff:0:0/96` as IPv4, which is what a connection to it reaches; IPv6 in its one canonical form; without a zone. */
export function unmapped(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  if (isIP(plain) !== 6) return plain;
  const canonical = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

/** @param nets CIDR @throws Error that names an entry which is none */
export function blockList(nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', prefix = ''] = net.split('/');
    const family = isIP(address);
    if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) throw new Error(`not a CIDR: ${net}`);
    list.addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function toHostPort(entry: string): string {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(entry) ?? [];
  if (host === '') throw new Error(`neither host:port nor CIDR: ${entry}`);
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return `${isIP(bare) === 0 ? bare : unmapped(bare)}:${Number(port)}`;
}
