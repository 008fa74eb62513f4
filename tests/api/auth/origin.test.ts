import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { originOf, readProxies } from '../../../src/api/auth/origin.ts';

const from = (remoteAddress: string | undefined, headers: Record<string, string> = {}) =>
  ({ socket: { remoteAddress }, headers }) as unknown as IncomingMessage;

const NETS = '10.0.0.0/8, 2001:db8:ffff::/48';
const ip = (request: IncomingMessage, nets = NETS, header: 'x-forwarded-for' | 'forwarded' = 'x-forwarded-for') =>
  originOf({ proxies: readProxies(nets, header) }, request).ip;
const network = (address: string) => originOf({ proxies: readProxies('', 'forwarded') }, from(address)).network;

test('without trusted proxies the other end of the connection is the client, whatever it says', () => {
  const headers = { 'x-forwarded-for': '1.2.3.4', forwarded: 'for=1.2.3.4' };
  expect(ip(from('203.0.113.9', headers), '')).toBe('203.0.113.9');
  expect(ip(from('203.0.113.9', headers))).toBe('203.0.113.9');
});

test('behind trusted proxies it is the rightmost hop that is none', () => {
  const behind = (list: string) => ip(from('10.0.0.1', { 'x-forwarded-for': list }));
  expect(behind('1.2.3.4')).toBe('1.2.3.4');
  expect(behind('6.6.6.6, 1.2.3.4')).toBe('1.2.3.4');
  expect(behind('6.6.6.6, 1.2.3.4, 10.9.9.9')).toBe('1.2.3.4');
  expect(behind('6.6.6.6, 1.2.3.4:4711 ,10.9.9.9')).toBe('1.2.3.4');
  expect(behind('[2001:db8::7]:443, 10.9.9.9')).toBe('2001:db8::7');
  expect(behind('2001:DB8:0:0::7')).toBe('2001:db8::7');
  expect(behind('10.0.0.7, 10.0.0.8')).toBe('10.0.0.7');
});

test.each(['', 'unknown', '1.2.3.4, unknown', '6.6.6.6, _hidden, 10.0.0.1', '999.1.1.1', '1.2.3.4, 0x7f.1', '1.2.3.4,'])(
  'a hop that is no address ends the way at the proxy before it: %j',
  (list) => {
    expect(ip(from('10.0.0.1', { 'x-forwarded-for': list }))).toBe('10.0.0.1');
  },
);

test('only the header that the proxies write is read', () => {
  const headers = { 'x-forwarded-for': '6.6.6.6', forwarded: 'for=1.2.3.4;proto=https' };
  expect(ip(from('10.0.0.1', headers))).toBe('6.6.6.6');
  expect(ip(from('10.0.0.1', headers), NETS, 'forwarded')).toBe('1.2.3.4');
});

test('Forwarded is read as RFC 7239 says', () => {
  const behind = (forwarded: string) => ip(from('10.0.0.1', { forwarded }), NETS, 'forwarded');
  expect(behind('for=192.0.2.43, for="[2001:db8:cafe::17]:4711"')).toBe('2001:db8:cafe::17');
  expect(behind('For="198.51.100.17:1";by=203.0.113.43')).toBe('198.51.100.17');
  expect(behind('proto=http;for=198.51.100.17, by=10.1.1.1;FOR=10.1.1.1')).toBe('198.51.100.17');
  expect(behind('for=6.6.6.6, for="1.2.3.4, for=7.7.7.7"')).toBe('10.0.0.1');
  expect(behind('for=6.6.6.6, proto=https')).toBe('10.0.0.1');
});

test('IPv6 counts by /64, IPv4 inside IPv6 as IPv4', () => {
  expect(network('::ffff:1.2.3.4')).toBe('1.2.3.4');
  expect(network('::ffff:102:304')).toBe('1.2.3.4');
  expect(network('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
  expect(network('2001:db8:1:2::1')).toBe('2001:db8:1:2::/64');
  expect(network('2001:0db8:0001:0002:ffff::1%eth0')).toBe('2001:db8:1:2::/64');
  expect(network('::1')).toBe('0:0:0:0::/64');
  expect(network('fe80::1:2:3:4')).toBe('fe80:0:0:0::/64');
  expect(originOf({ proxies: readProxies('', 'forwarded') }, from(undefined)).ip).toBe('0.0.0.0');
});

test('the end of a connection that is a proxy inside IPv6 is one as IPv4', () => {
  expect(ip(from('::ffff:10.0.0.1', { 'x-forwarded-for': '::ffff:1.2.3.4' }))).toBe('1.2.3.4');
});

test('a list that is none is refused at start', () => {
  expect(() => readProxies('10.0.0.0/33', 'forwarded')).toThrow('not a CIDR: 10.0.0.0/33');
  expect(() => readProxies('proxy.local', 'forwarded')).toThrow('not a CIDR: proxy.local');
});
