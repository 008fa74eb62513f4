import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign as signBytes,
  type KeyObject,
} from 'node:crypto';

type Json = Record<string, unknown>;
/** A token that is good, and whose it is. `key` signs as the service does. */
export type Genuine = { token: string; key: KeyObject; header: Json; payload: Json };

const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const decode = (part: string): Json => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json;
const es256 = (input: string, key: KeyObject): string =>
  signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');

export function genuine(token: string, secret: Buffer, jwk: Json): Genuine {
  const [header = '', payload = ''] = token.split('.');
  const key = createPrivateKey({
    format: 'jwk',
    key: { kty: 'EC', crv: 'P-256', x: String(jwk.x), y: String(jwk.y), d: secret.toString('base64url') },
  });
  return { token, key, header: decode(header), payload: decode(payload) };
}

/** As the service would sign it, with another header or other claims, as objects or as text. */
export function forge({ key, header, payload }: Genuine, change: { header?: unknown; payload?: unknown; key?: KeyObject }): string {
  const head = typeof change.header === 'object' ? { ...header, ...change.header } : (change.header ?? header);
  const body = typeof change.payload === 'object' ? { ...payload, ...change.payload } : (change.payload ?? payload);
  const input = `${encode(head)}.${encode(body)}`;
  return `${input}.${es256(input, change.key ?? key)}`;
}

/** Tokens nobody may come in with, by what is wrong with each. All but those of other keys are signed by the service's own. */
export function badTokens(good: Genuine): [what: string, token: string][] {
  return [...headers(good), ...algorithms(good), ...claims(good), ...duplicates(good), ...shapes(good), ...strangers(good)];
}

function headers(good: Genuine): [string, string][] {
  const with_ = (header: unknown) => forge(good, { header });
  const jwk = createPublicKey(good.key).export({ format: 'jwk' });
  const extra: [string, unknown][] = [
    ['jku', 'https://evil.example/jwks.json'],
    ['jku', 'http://127.0.0.1/.well-known/jwks.json'],
    ['x5u', 'https://evil.example/cert.pem'],
    ['jwk', jwk],
    ['x5c', ['MIIB']],
    ['x5t', 'abc'],
    ['x5t#S256', 'abc'],
    ['cty', 'JWT'],
    ['zip', 'DEF'],
    ['b64', true],
    ['b64', false],
    ['crit', ['exp']],
    ['crit', []],
    ['crit', ['b64']],
    ['crit', ['urn:unknown']],
    ['enc', 'A128GCM'],
    ['url', 'https://evil.example'],
    ['nonce', 'x'],
    ['__proto__x', 1],
  ];
  const kids = [
    '',
    'unknown',
    '../../etc/passwd',
    '/dev/null',
    `' or '1'='1`,
    `x'; drop table session; --`,
    'http://evil.example/k',
    '\u0000',
    'k1',
    `${String(good.header.kid)} `,
    5,
    null,
    ['a'],
    {},
  ];
  const types = ['JWT', 'jwt', 'at+JWT+x', 'id+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', '', 5, null, 'application/json', 'AT'];
  return [
    ...extra.map(([name, value], i): [string, string] => [`header ${name} ${i}`, with_({ [name]: value })]),
    ...kids.map((kid): [string, string] => [`kid ${JSON.stringify(kid)}`, with_({ kid })]),
    ...types.map((typ): [string, string] => [`typ ${JSON.stringify(typ)}`, with_({ typ })]),
    ['no kid', with_({ kid: undefined })],
    ['no typ', with_({ typ: undefined })],
    ['no alg', with_({ alg: undefined })],
  ];
}

function algorithms(good: Genuine): [string, string][] {
  const jwk = createPublicKey(good.key).export({ format: 'jwk' });
  const publics = [
    JSON.stringify(jwk),
    createPublicKey(good.key).export({ format: 'pem', type: 'spki' }),
    createPublicKey(good.key).export({ format: 'der', type: 'spki' }),
  ];
  const claimed = (alg: string, signature: (input: string) => string) => {
    const input = `${encode({ ...good.header, alg })}.${encode(good.payload)}`;
    return `${input}.${signature(input)}`;
  };
  const hmac = (hash: string, secret: string | Buffer) => (input: string) => createHmac(hash, secret).update(input).digest('base64url');
  return [
    ...['none', 'None', 'NONE', 'nOnE'].flatMap((alg): [string, string][] => [
      [`${alg} without a signature`, claimed(alg, () => '')],
      [`${alg} with one`, claimed(alg, (input) => es256(input, good.key))],
    ]),
    ...publics.map((secret, i): [string, string] => [`HS256 with the public key ${i}`, claimed('HS256', hmac('sha256', secret))]),
    ['HS512 with the public key', claimed('HS512', hmac('sha512', publics[1] ?? ''))],
    ['HS256 with the thumbprint', claimed('HS256', hmac('sha256', String(good.header.kid)))],
    ['HS256 with nothing', claimed('HS256', hmac('sha256', ''))],
    ...['ES384', 'ES512', 'ES256K', 'RS256', 'PS256', 'EdDSA', 'es256', 'A256KW'].map((alg): [string, string] => [
      `${alg} over an ES256 signature`,
      claimed(alg, (input) => es256(input, good.key)),
    ]),
    ['a DER signature', claimed('ES256', (input) => signBytes('sha256', Buffer.from(input), good.key).toString('base64url'))],
    ['a signature of zeros', claimed('ES256', () => Buffer.alloc(64).toString('base64url'))],
  ];
}

function claims(good: Genuine): [string, string][] {
  const with_ = (payload: unknown) => forge(good, { payload });
  const now = Math.floor(Date.now() / 1000);
  const missing = ['iss', 'aud', 'sub', 'exp', 'iat', 'jti', 'client_id', 'sid', 'workspace'];
  const changed: [string, Json][] = [
    ['expired', { exp: now - 1 }],
    ['expired long ago', { exp: 1 }],
    ['exp as text', { exp: String(now + 900) }],
    ['exp null', { exp: null }],
    ['exp negative', { exp: -1 }],
    ['not yet valid', { nbf: now + 60 }],
    ['nbf as text', { nbf: 'now' }],
    ['issued in the future', { iat: now + 60 }],
    ['iat as text', { iat: 'x' }],
    ['foreign audience', { aud: 'other' }],
    ['audience in a list', { aud: ['tiu', 'other'] }],
    ['empty audience', { aud: [] }],
    ['foreign issuer', { iss: 'https://evil.example' }],
    ['issuer with a slash', { iss: `${String(good.payload.iss)}/` }],
    ['issuer in a list', { iss: [good.payload.iss] }],
    ['session of nobody', { sid: randomUUID() }],
    ['session as a number', { sid: 5 }],
    ['another person', { sub: randomUUID() }],
    ['another workspace', { workspace: randomUUID() }],
    ['the system workspace', { workspace: '00000000-0000-0000-0000-000000000000' }],
    ['workspace null', { workspace: null }],
    ['SQL for a session', { sid: `x' or '1'='1` }],
  ];
  return [
    ...missing.map((name): [string, string] => [`no ${name}`, with_({ [name]: undefined })]),
    ...changed.map(([what, payload]): [string, string] => [what, with_(payload)]),
    ['an ID token', forge(good, { header: { typ: 'JWT' }, payload: { nonce: 'n', aud: 'client' } })],
    ['an ID token that says it is none', forge(good, { payload: { nonce: 'n', aud: 'client', azp: 'client' } })],
  ];
}

function duplicates(good: Genuine): [string, string][] {
  const [header, payload] = [JSON.stringify(good.header), JSON.stringify(good.payload)];
  const twice = (text: string, more: string) => `{${more},${text.slice(1)}`;
  return [
    ...['sub', 'sid', 'exp', 'aud', 'iss', 'workspace'].map((name): [string, string] => [
      `${name} twice`,
      forge(good, { payload: twice(payload, `"${name}":"x"`) }),
    ]),
    ['alg twice', forge(good, { header: twice(header, '"alg":"none"') })],
    ['kid twice', forge(good, { header: twice(header, '"kid":"x"') })],
    ['a claim twice, once escaped', forge(good, { payload: twice(payload, '"\\u0073ub":"x"') })],
    ['blanks in the payload', forge(good, { payload: payload.replace('{', '{ ') })],
    ['blanks in the header', forge(good, { header: header.replace('{', '{ ') })],
    ['a payload that is a list', forge(good, { payload: '[]' })],
    ['a payload that is null', forge(good, { payload: 'null' })],
    ['a payload that is text', forge(good, { payload: '"x"' })],
    ['a payload that is no JSON', forge(good, { payload: '{' })],
    ['a header that is no JSON', forge(good, { header: 'x' })],
  ];
}

function shapes({ token }: Genuine): [string, string][] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const last = signature.at(-1) === 'A' ? 'B' : 'A';
  return [
    ['truncated', token.slice(0, -1)],
    ['truncated by half', token.slice(0, token.length / 2)],
    ['no signature', `${header}.${payload}.`],
    ['no signature and no dot', `${header}.${payload}`],
    ['four parts', `${token}.x`],
    ['five parts', `${token}.x.y`],
    ['dots', '..'],
    ['one dot', '.'],
    ['unused bits of the signature', signature.slice(0, -1) === '' ? 'x' : `${header}.${payload}.${signature.slice(0, -1)}${last}`],
    ['padded', `${token}==`],
    ['base64, not base64url', `${header}.${payload}.${signature.slice(0, -2)}+/`],
    ['oversized', `${header}.${payload}.${'A'.repeat(4_000)}`],
    ['oversized payload', `${header}.${'A'.repeat(6_000)}.${signature}`],
    ['non-ASCII', `${header}.${payload}é.${signature}`],
    ['parts in another order', `${payload}.${header}.${signature}`],
    ['quoted', `"${token}"`],
    ['a comma and another', `${token},${token}`],
    ['upper case', token.toUpperCase()],
    ['an API key that is none', `tiu_${'0'.repeat(32)}_${'a'.repeat(43)}`],
    ['half an API key', 'tiu_'],
    ['a refresh token', `tiur_${'a'.repeat(43)}`],
    ['a socket ticket', `tiut_${'a'.repeat(43)}`],
    ['a word', 'null'],
    ['a path', '../../etc/passwd'],
    ['SQL', `'or'1'='1`],
  ];
}

function strangers(good: Genuine): [string, string][] {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  return [
    ['another key', forge(good, { key: privateKey })],
    ['another key that it brings along', forge(good, { key: privateKey, header: { jwk } })],
    ['another key under another name', forge(good, { key: privateKey, header: { kid: 'mine' } })],
    [
      'claims of another token',
      (() => {
        const [header = '', , signature = ''] = good.token.split('.');
        return `${header}.${encode({ ...good.payload, sub: randomUUID() })}.${signature}`;
      })(),
    ],
  ];
}
