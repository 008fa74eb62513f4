import { createHash, createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { HOOK_LIMITS } from '../../src/domain/hook/hook.ts';
import { signWebhook } from '../../src/providers/webhook/signWebhook.ts';
import { deliveryKey, verifyDelivery } from '../../src/providers/webhook/verifyDelivery.ts';

const EXAMPLE = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const keyOf = (secret: string): Buffer => deliveryKey('standard-webhooks', secret) ?? Buffer.alloc(0);
const KEY = keyOf(EXAMPLE);
const OTHER = Buffer.alloc(32, 7);
const AT = 1_614_265_330_000;
const BODY = Buffer.from('{"test": 2432232314}');
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
const HEADERS = { 'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': '1614265330', 'webhook-signature': SIGNATURE };

type How = { headers?: Record<string, string | undefined>; body?: Buffer; keys?: Buffer[]; now?: number };
const verify = ({ headers = {}, body = BODY, keys = [KEY], now = AT }: How = {}) =>
  verifyDelivery('standard-webhooks', { headers: { ...HEADERS, ...headers }, body }, { keys, now, toleranceSeconds: 300 });
const good = { ok: true, id: HEADERS['webhook-id'] };
const bad = (reason: string) => ({ ok: false, reason });

test('the example of the reference libraries of Standard Webhooks is accepted, with and without whsec_', () => {
  expect(verify()).toEqual(good);
  expect(verify({ keys: [keyOf(EXAMPLE.slice('whsec_'.length))] })).toEqual(good);
});

test('the example of GitHub is accepted, and identified by its body', () => {
  const body = Buffer.from('Hello, World!');
  const headers = { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' };
  const keys = [deliveryKey('github', "It's a Secret to Everybody") ?? Buffer.alloc(0)];
  const against = { keys, now: 0, toleranceSeconds: 1 };
  const verdict = verifyDelivery('github', { headers: { ...headers, 'x-github-delivery': 'one' }, body }, against);
  expect(verdict).toEqual({ ok: true, id: 'dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f' });
  expect(verifyDelivery('github', { headers: { ...headers, 'x-github-delivery': 'two' }, body }, against)).toEqual(verdict);
  expect(verifyDelivery('github', { headers, body: Buffer.from('Hello, World?') }, against)).toEqual(bad('signature'));
  expect(verifyDelivery('github', { headers: {}, body }, against)).toEqual(bad('headers'));
  for (const value of ['sha1=757107ea', 'sha256=', 'sha256=757107ea', `sha256=${'zz'.repeat(32)}`])
    expect(verifyDelivery('github', { headers: { 'x-hub-signature-256': value }, body }, against)).toEqual(bad('headers'));
});

test.each<[string, How, string]>([
  ['another body', { body: Buffer.from('{"test": 2432232315}') }, 'signature'],
  ['a body with other white space', { body: Buffer.from('{"test":2432232314}') }, 'signature'],
  ['another id', { headers: { 'webhook-id': 'msg_2' } }, 'signature'],
  ['another time', { headers: { 'webhook-timestamp': '1614265331' } }, 'signature'],
  ['another key', { keys: [OTHER] }, 'signature'],
  ['no key', { keys: [] }, 'signature'],
  ['a part of the signature', { headers: { 'webhook-signature': SIGNATURE.slice(0, 12) } }, 'signature'],
  ['an empty signature', { headers: { 'webhook-signature': 'v1,' } }, 'signature'],
  ['a signature of another version', { headers: { 'webhook-signature': SIGNATURE.replace('v1', 'v2') } }, 'signature'],
  ['no signature', { headers: { 'webhook-signature': undefined } }, 'headers'],
  ['no id', { headers: { 'webhook-id': undefined } }, 'headers'],
  ['no time', { headers: { 'webhook-timestamp': undefined } }, 'headers'],
  ['a time that is none', { headers: { 'webhook-timestamp': 'hello' } }, 'headers'],
])('refused: %s', (_, how, reason) => {
  expect(verify(how)).toEqual(bad(reason));
});

test('the time may be as far away as is tolerated, and no further', () => {
  for (const now of [AT - 300_000, AT + 300_000]) expect(verify({ now })).toEqual(good);
  for (const now of [AT - 301_000, AT + 301_000]) expect(verify({ now })).toEqual(bad('timestamp'));
});

test('one of several signatures is enough, and one of several keys', () => {
  const wrong = signWebhook([{ id: 'x', secret: OTHER }], { id: 'x', at: AT, body: 'x' })['webhook-signature'];
  const many = [wrong, 'v1a,AAAA', SIGNATURE, wrong].join(' ');
  expect(verify({ headers: { 'webhook-signature': many }, keys: [OTHER, KEY] })).toEqual(good);
  const late = [...Array.from({ length: HOOK_LIMITS.signatures }, () => wrong), SIGNATURE].join(' ');
  expect(verify({ headers: { 'webhook-signature': late } })).toEqual(bad('signature'));
});

test('what this product signs, with old and new key, its own hooks accept under either', () => {
  const headers = signWebhook(
    [KEY, OTHER].map((secret, i) => ({ id: String(i), secret })),
    { id: 'a/b/-/0', at: AT, body: String(BODY) },
  );
  for (const key of [KEY, OTHER]) expect(verify({ headers, keys: [key] })).toEqual({ ok: true, id: 'a/b/-/0' });
});

test.each([1, HOOK_LIMITS.idLength])('an id of %d characters is one; of more, or with a space, it is none', (length) => {
  const idOf = (id: string) => {
    const headers = signWebhook([{ id: 'k', secret: KEY }], { id, at: AT, body: String(BODY) });
    return verify({ headers });
  };
  expect(idOf('x'.repeat(length))).toEqual({ ok: true, id: 'x'.repeat(length) });
  expect(idOf('x'.repeat(HOOK_LIMITS.idLength + 1))).toEqual(bad('headers'));
  expect(idOf('a b')).toEqual(bad('headers'));
});

test('the signature is over bytes, not over text', () => {
  const body = Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]); // a byte order mark, then {}
  const mac = createHmac('sha256', KEY).update('1.1614265330.').update(body).digest('base64');
  expect(verify({ headers: { 'webhook-id': '1', 'webhook-signature': `v1,${mac}` }, body })).toEqual({ ok: true, id: '1' });
});

test('a secret of Standard Webhooks has 24 to 64 bytes', () => {
  for (const bytes of [24, 64]) expect(keyOf(Buffer.alloc(bytes, 1).toString('base64'))).toHaveLength(bytes);
  for (const bytes of [23, 65]) expect(deliveryKey('standard-webhooks', Buffer.alloc(bytes, 1).toString('base64'))).toBeUndefined();
  expect(deliveryKey('standard-webhooks', 'no base64 at all, but long enough')).toBeUndefined();
});

const STRIPE = 'whsec_test_secret';
const EVENT = Buffer.from('{"id": "evt_1", "object": "event"}');
const stripeKey = (secret = STRIPE): Buffer => deliveryKey('stripe', secret) ?? Buffer.alloc(0);
const hex = (time: number | string, { secret = STRIPE, body = EVENT } = {}): string =>
  createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
const T = AT / 1_000;
const verifyStripe = (header: string | undefined, { body = EVENT, keys = [stripeKey()], now = AT }: How = {}) =>
  verifyDelivery('stripe', { headers: { 'stripe-signature': header }, body }, { keys, now, toleranceSeconds: 300 });
const fine = { ok: true, id: 'evt_1' };

test('what Stripe signs is accepted, with spaces, other versions and a secret that ends with a line', () => {
  expect(verifyStripe(`t=${T},v1=${hex(T)}`)).toEqual(fine);
  expect(verifyStripe(`t=${T}, v0=6ffbb59b2300aae63f272406069a9788, v1=${hex(T)}`)).toEqual(fine);
  expect(verifyStripe(`v1=${hex(T)},t=${T}`, { keys: [stripeKey(`${STRIPE}\n`)] })).toEqual(fine);
});

test('one of several v1 is enough, of the first ten', () => {
  const wrong = `v1=${hex(T, { secret: 'old' })}`;
  expect(verifyStripe([`t=${T}`, wrong, `v1=${hex(T)}`].join())).toEqual(fine);
  const many = Array.from({ length: HOOK_LIMITS.signatures - 1 }, () => wrong);
  expect(verifyStripe([`t=${T}`, ...many, `v1=${hex(T)}`].join())).toEqual(fine);
  expect(verifyStripe([`t=${T}`, wrong, ...many, `v1=${hex(T)}`].join())).toEqual(bad('signature'));
});

test('a delivery that is tried again is the same, though signed anew; what has no id is told by its bytes', () => {
  expect(verifyStripe(`t=${T + 60},v1=${hex(T + 60)}`)).toEqual(fine);
  for (const text of ['{"id": 7}', '[1]', 'no json', '{"id": "a b"}', 'null']) {
    const body = Buffer.from(text);
    expect(verifyStripe(`t=${T},v1=${hex(T, { body })}`, { body })).toEqual({
      ok: true,
      id: createHash('sha256').update(body).digest('hex'),
    });
  }
});

test.each<[string, string | undefined, How, string]>([
  ['another body', `t=${T},v1=${hex(T)}`, { body: Buffer.from('{"id": "evt_2"}') }, 'signature'],
  ['another time than was signed', `t=${T + 1},v1=${hex(T)}`, {}, 'signature'],
  ['another secret', `t=${T},v1=${hex(T, { secret: 'other' })}`, {}, 'signature'],
  ['a signature under another version alone', `t=${T},v0=${hex(T)}`, {}, 'headers'],
  ['a part of the signature', `t=${T},v1=${hex(T).slice(0, 32)}`, {}, 'signature'],
  ['no time', `v1=${hex('')}`, {}, 'headers'],
  ['a time that is none', `t=now,v1=${hex('now')}`, {}, 'headers'],
  ['a second time', `t=${T - 10_000},t=${T},v1=${hex(T)}`, {}, 'signature'],
  ['no header', undefined, {}, 'headers'],
  ['a time too long ago', `t=${T - 301},v1=${hex(T - 301)}`, {}, 'timestamp'],
  ['a time too far ahead', `t=${T + 301},v1=${hex(T + 301)}`, {}, 'timestamp'],
])('of Stripe is refused: %s', (_, signature, how, reason) => {
  expect(verifyStripe(signature, how)).toEqual(bad(reason));
});

test('of Stripe the time may be as far away as is tolerated', () => {
  for (const time of [T - 300, T + 300]) expect(verifyStripe(`t=${time},v1=${hex(time)}`)).toEqual(fine);
});
