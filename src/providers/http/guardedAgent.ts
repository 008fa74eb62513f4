import { lookup } from 'node:dns/promises';
import { isIP, type TcpNetConnectOpts } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { Problem } from '../../domain/problem.ts';
import type { AddressRules } from './addressRules.ts';

export type Address = { address: string; family: number };
/** All addresses of a name, in the order to try them. */
export type Resolve = (host: string) => Promise<Address[]>;

const resolveByDns: Resolve = (host) => lookup(host, { all: true });

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;

/**
 * A keep-alive pool that connects to addresses it has checked, and to no others: a name is resolved once per connection,
 * and the connection goes to what that answer held. Fails with Problem http_address_refused.
 */
export function createGuardedAgent(rules: AddressRules, resolve: Resolve = resolveByDns): Agent {
  return new Agent({
    connect: (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, '').toLowerCase();
      const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80);
      checkedAddresses({ rules, resolve }, host, port).then(
        (addresses) => {
          const connect = buildConnector({
            timeout: CONNECT_TIMEOUT_MS,
            allowH2: false,
            autoSelectFamily: true,
            lookup: answering(addresses),
          });
          connect(options, callback);
        },
        (error: unknown) => {
          callback(error as Error, null);
        },
      );
    },
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0, // Time is the caller's signal.
    bodyTimeout: 0,
    connections: 64,
    maxHeaderSize: 64 * 1024,
  });
}

async function checkedAddresses(guard: { rules: AddressRules; resolve: Resolve }, host: string, port: number): Promise<Address[]> {
  const family = isIP(host);
  const found = family === 0 ? await guard.resolve(host) : [{ address: host, family }];
  const allowed = found.filter(({ address }) => guard.rules.allows(address, port, host));
  if (found.length === 0) throw new Problem('http_failed', { detail: 'The name has no address' });
  if (allowed.length === 0) throw new Problem('http_address_refused', { data: { host, port } });
  return allowed;
}

type Lookup = NonNullable<TcpNetConnectOpts['lookup']>;

/** A lookup that knows its answer. */
const answering =
  (addresses: Address[]): Lookup =>
  (_host, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, addresses);
    else callback(null, first?.address ?? '', first?.family ?? 0);
  };
