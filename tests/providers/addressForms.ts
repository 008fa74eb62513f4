import os from 'node:os';

/** 127.0.0.1 as people write it to get past a guard. */
const LOOPBACK_V4 = [
  '127.0.0.1', '127.1', '127.0.1', '127.000.000.001', '2130706433', '0x7f000001', '0x7F.0x0.0x0.0x1', '0x7f.1', '0x7f.0.1', '017700000001',
  '0177.0.0.1', '0177.0.0.01', '0177.1', '0177.0x0.0.1', '00000177.0.0.1', '127.0.0.1.', '127.1.', '2130706433.', '127.0.0.2', '127.255.255.254', '127.8.8.8',
  '%31%32%37.0.0.1', '127%2e0%2e0%2e1', '127.0.0.%31', '１２７.０.０.１', '127。0。0。1', '127．0．0．1', '127｡0｡0｡1', '①②⑦.⓪.⓪.①', '𝟏𝟐𝟕.𝟎.𝟎.𝟏', '０ｘ７ｆ.1', '127.0.0.1%00', '127.0.0.1%20', '127.0.0.1\u00ad',
]; // prettier-ignore
const LOOPBACK_V6 = [
  '[::1]', '[0:0:0:0:0:0:0:1]', '[0000:0000:0000:0000:0000:0000:0000:0001]', '[::0001]', '[::ffff:127.0.0.1]', '[::FFFF:127.0.0.1]', '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]', '[0:0:0:0:0:ffff:7f00:0001]', '[::127.0.0.1]', '[::7f00:1]', '[::ffff:0:127.0.0.1]', '[::]', '[0::0]', '[::1%25lo]', '[::1%lo]', '[fe80::1%25eth0]',
]; // prettier-ignore
/** IPv4 carried by IPv6: NAT64 (well-known, local), 6to4, Teredo, ISATAP, ORCHID and documentation. */
const CARRIED = [
  '[64:ff9b::127.0.0.1]', '[64:ff9b::7f00:1]', '[64:ff9b::a00:1]', '[64:ff9b:1::7f00:1]', '[64:ff9b:1:7f00:0:100::]', '[2002:7f00:1::]', '[2002:7f00:1::1]', '[2002:a00:1::]', '[2002:c0a8:101::1]', '[2002:a9fe:a9fe::]',
  '[2001:0:7f00:1::]', '[2001::80ff:fffe]', '[2001:0:4136:e378:8000:63bf:80ff:fffe]', '[2001:10::1]', '[2001:20::1]', '[2001:db8::1]', '[3fff::1]', '[fe80::5efe:127.0.0.1]', '[fd00::5efe:7f00:1]', '[100::1]', '[5f00::1]', '[4000::1]',
]; // prettier-ignore
const PRIVATE = [
  '10.0.0.1', '10.1', '0xa.1', '012.0.0.1', '167772161', '172.16.0.1', '172.31.255.254', '0xac.0x10.1', '192.168.0.1', '192.168.257', '3232235521', '0xc0a80001', '0300.0250.0.1', '100.64.0.1', '100.127.255.254',
  '169.254.169.254', '0xa9fea9fe', '2852039166', '169.254.43518', '0251.0376.0251.0376', '169.254.169.254.', '169。254。169。254', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[fd00:ec2::254]', '192.0.0.1', '192.0.0.192', '192.0.2.1', '192.88.99.1', '198.18.0.1', '198.51.100.7', '203.0.113.7',
  '0.0.0.0', '0', '0x0', '00', '0.1', '0.0.0.0.', '224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255', '4294967295', '0xffffffff', '037777777777',
  '[fc00::1]', '[fd12:3456::1]', '[fe80::1]', '[febf::1]', '[fec0::1]', '[ff02::1]', '[ff0e::1]', '[::ffff:10.0.0.1]', '[::ffff:c0a8:1]', '[::ffff:6440:1]', '[::ffff:0.0.0.0]',
]; // prettier-ignore
const NAMES = [
  'localhost',
  'LOCALHOST',
  'localhost.',
  'ｌｏｃａｌｈｏｓｔ',
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
  'private.example',
  'private.example.',
  'PRIVATE.example',
  'mapped.example',
  'meta.example',
  'six.example',
  'nat64.example',
  'none.example',
];
/** Apart, so that nobody takes what stands before it for a password of ours. */
const AT = '@';
const USER = 'user:pass';
/** Ways to write a whole address so that who reads it is mistaken about its host. */
const WHOLE = (port: number) => [
  `http://public.example@127.0.0.1:${port}/`, `http://public.example:80${AT}127.0.0.1:${port}/`, `http://public.example%40127.0.0.1:${port}/`, `http://public.example:80%40${AT}127.0.0.1:${port}/`, `http://${USER}${AT}localhost:${port}/`, `http://@127.0.0.1:${port}/`,
  `http://127.0.0.1:${port}\\@public.example/`, `http://127.0.0.1:${port}#@public.example/`, `http://127.0.0.1:${port}?@public.example/`, `http:\\\\127.0.0.1:${port}\\`, `http:127.0.0.1:${port}`, `http:/127.0.0.1:${port}/`, `http:////127.0.0.1:${port}/`, `http:///127.0.0.1:${port}/`,
  ` http://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/ `, `http://127.0.\t0.1:${port}/`, `http://127.0.\n0.1:${port}/`, `ht\ntp://127.0.0.1:${port}/`, `http://127.0.0.1:0${port}/`, `http://127.0.0.1\u0000:${port}/`, `HTTP://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/../..//`, `//127.0.0.1:${port}/`, `127.0.0.1:${port}`, `https://127.0.0.1:${port}/`, `https://[::1]:${port}/`, `ws://127.0.0.1:${port}/`,
  `ftp://127.0.0.1:${port}/`, `gopher://127.0.0.1:${port}/_GET`, `dict://127.0.0.1:${port}/`, 'file:///etc/passwd', `unix:///tmp/socket`, `http+unix://%2Ftmp%2Fsocket/`, `data:text/plain,x`, `javascript:alert(1)`, `blob:http://127.0.0.1:${port}/x`, `view-source:http://127.0.0.1:${port}/`, `jar:http://127.0.0.1:${port}!/`,
]; // prettier-ignore

/** Addresses of this very machine that are not loopback: a listener on all of them would be reached. */
const OWN = Object.values(os.networkInterfaces())
  .flatMap((list) => list ?? [])
  .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));

/** Every way to name an address that must not be reached, with the port of somebody who listens there. */
export const addressForms = (port: number): string[] => [
  ...new Set([
    ...[...LOOPBACK_V4, ...LOOPBACK_V6, ...CARRIED, ...PRIVATE, ...NAMES, ...OWN].map((host) => `http://${host}:${port}/`),
    ...WHOLE(port),
  ]),
];
