import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { firstView, type ApiRequest, type View } from '../../../src/api/features/pages/views.js';
import { routes } from '../../../src/api/routes.ts';
import { codeAt, linkToken, OTHER, PASSWORD, signedIn, someAccounts, aPerson, type Accounts } from '../accounts/aPerson.ts';
import { aBrowser } from './aBrowser.ts';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
const SRC = path.resolve(import.meta.dirname, '../../../src');

let api: Accounts;
beforeAll(async () => {
  api = await someAccounts({ TIU_REGISTRATION: 'open' });
});
afterAll(() => api.stop());

const get = (target: string) => api.call('GET', target, { key: null });

/** Where links lead: what is handed to `linkTo`, and what stands before a token in a text. */
function linkedPages(): string[] {
  const files = fs
    .readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.gen.ts'));
  const texts = files.map((file) => fs.readFileSync(path.join(SRC, file), 'utf8'));
  return [
    ...new Set(
      texts.flatMap((text) =>
        [...text.matchAll(/linkTo\([^,()]+, '([\w-]+)'|\/([\w-]+)#token=/g)].map((found) => found[1] ?? found[2] ?? ''),
      ),
    ),
  ].sort();
}

test('the page of every link is answered, with nothing inline and nothing from elsewhere', async () => {
  const linked = linkedPages();
  expect(linked).toEqual(['confirm-email', 'device', 'invitation', 'reset-password', 'verify-email']);
  for (const page of linked) {
    const { status, headers, text } = await get(`/${page}`);
    expect([status, headers.get('content-type'), headers.get('content-security-policy')]).toEqual([
      200,
      'text/html; charset=utf-8',
      POLICY,
    ]);
    expect(text).not.toMatch(/<script(?![^>]* src=)|<style|style=|\son\w+=|https?:/);
    expect(text).toMatch(/<html lang="en">[\s\S]*<title>.+<[\s\S]*role="alert"/);
    expect(firstView(page, 'tiuo_x').title).not.toBe('The link is incomplete');
  }
  const parts = [...(await get('/device')).text.matchAll(/(?:src|href)="([^"]+)"/g)].map((found) => `/${found[1] ?? ''}`);
  for (const part of [...parts, '/pages/views.js']) {
    const { status, headers } = await get(part);
    expect([part, status]).toEqual([part, 200]);
    expect(headers.get('content-type')).toMatch(part.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
  }
  expect((await get('/pages/routes.ts')).status).toBe(404);
});

const SAMPLE = { status: 'mfa_required', mfaToken: 'tiuo_x', userCode: 'BCDF-GHJK', ip: '::1', userAgent: '', createdAt: '', name: 'n' };

/** Every view that can be reached, with every way to it. */
function* viewsFrom(view: View, depth = 0): Generator<View> {
  yield view;
  if (depth === 6) return;
  const values = { userCode: 'BCDF-GHJK', code: '123456', name: 'somebody', password: 'secret', identifier: 'somebody' };
  for (const action of view.actions ?? []) {
    yield* viewsFrom(action.then(SAMPLE), depth + 1);
    yield* viewsFrom(action.then({ ...SAMPLE, status: 'signed_in' }), depth + 1);
    const other = action.otherwise?.({ status: 401 }, values);
    if (other) yield* viewsFrom(other, depth + 1);
  }
}

/** Everything that the pages may ask the api. */
function* requests(): Generator<ApiRequest> {
  const actions = linkedPages().flatMap((page) => [...viewsFrom(firstView(page, 'tiuo_x'))].flatMap((view) => view.actions ?? []));
  const values = { userCode: 'BCDF-GHJK', name: 'somebody', password: 'secret', identifier: 'somebody' };
  for (const action of actions) for (const code of ['123456', 'ABCD-EFGH']) yield action.request({ ...values, code });
}

test('passwords are asked for in fields of passwords, which may be pasted and filled in by a password manager', async () => {
  const fields = linkedPages().flatMap((page) => [...viewsFrom(firstView(page, 'tiuo_x'))].flatMap((view) => view.fields ?? []));
  const passwords = fields.filter(({ name }) => /password/i.test(name));
  expect(passwords.length).toBeGreaterThan(2);
  for (const { type, autocomplete } of passwords)
    expect([type, autocomplete]).toEqual(['password', expect.stringMatching(/^(new|current)-password$/)]);
  const [script, views] = await Promise.all(['page.js', 'views.js'].map(async (file) => (await fetch(`${api.url}/pages/${file}`)).text()));
  expect(`${script ?? ''}${views ?? ''}`).not.toMatch(/paste|beforeinput/i);
});

test('the script asks for routes that there are, with bodies that they take', () => {
  const asked = new Set<string>();
  for (const request of requests()) {
    const route = routes.find(
      ({ method, path: known }) =>
        method.toUpperCase() === request.method && new RegExp(`^${known.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(`/${request.path}`),
    );
    expect({ ...request, route: route?.path }).toMatchObject({ route: expect.any(String) as unknown });
    const fault = route?.request?.body?.schema.safeParse(request.body).error;
    expect({ ...request, fault }).toEqual({ ...request, fault: undefined });
    asked.add(route?.path ?? '');
  }
  expect([...asked].sort()).toEqual([
    '/api/v1/auth/change-email/confirm',
    '/api/v1/auth/device/{userCode}',
    '/api/v1/auth/device/{userCode}/approve',
    '/api/v1/auth/device/{userCode}/deny',
    '/api/v1/auth/login',
    '/api/v1/auth/login/mfa',
    '/api/v1/auth/reset-password',
    '/api/v1/auth/verify-email',
    '/api/v1/invitations/accept',
    '/api/v1/invitations/join',
  ]);
});

test('a password is reset; what is wrong is said, and the token does not stay in the address', async () => {
  const person = await aPerson(api);
  await api.post('forgot-password', { email: person.email });
  const page = aBrowser(api.url).open(`/reset-password#token=${await linkToken(api, person.email)}`);
  expect([page.address(), page.title(), page.fields()]).toEqual(['/reset-password', 'Set a new password', ['password']]);
  page.type('password', 'short');
  await page.press('Set the password');
  expect(page.error()).toMatch(/^password: /);
  page.type('password', OTHER);
  await page.press('Set the password');
  expect([page.title(), page.error(), page.focused()]).toEqual(['The password is set', '', 1]);
  await signedIn(api, { ...person, password: OTHER });
});

test('an address is confirmed, of somebody new and of somebody who changes it', async () => {
  await api.post('register', { name: 'new_person', email: 'new@people.example', password: PASSWORD });
  const page = aBrowser(api.url).open(`/verify-email#token=${await linkToken(api, 'new@people.example')}`);
  page.type('password', PASSWORD);
  await page.press('Make the account');
  expect(page.text()).toBe('It is called new_person. Sign in now.');
  const { accessToken } = await signedIn(api, { id: '', name: 'new_person', email: '', password: PASSWORD });
  await api.post('change-email', { email: 'newer@people.example' }, accessToken);
  const second = aBrowser(api.url).open(`/confirm-email#token=${await linkToken(api, 'newer@people.example')}`);
  expect(second.fields()).toEqual([]);
  await second.press('Confirm');
  expect(second.title()).toBe('The address is confirmed');
});

const invited = async () => {
  const made = await api.call('POST', '/api/v1/invitations', {
    body: { role: 'viewer' },
    headers: { 'idempotency-key': crypto.randomUUID() },
  });
  return new URL((made.body as { link: string }).link);
};

test('an invitation is accepted by somebody new, and by somebody who signs in there', async () => {
  const first = await invited();
  const page = aBrowser(api.url).open(first.pathname + first.hash);
  page.type('name', 'invited_one');
  page.type('password', PASSWORD);
  await page.press('Make an account');
  expect(page.title()).toBe('The account is made');
  const person = await aPerson(api);
  const second = await invited();
  const other = aBrowser(api.url);
  const joining = other.open(second.pathname + second.hash);
  await joining.press('Join with my account');
  expect([joining.title(), joining.fields()]).toEqual(['Sign in first', ['identifier', 'password']]);
  joining.type('identifier', person.name);
  joining.type('password', person.password);
  await joining.press('Sign in');
  await joining.press('Join with my account');
  expect(joining.title()).toBe('You have joined');
  expect([...other.cookies.keys()]).toEqual(['__Host-tiu_access', '__Host-tiu_refresh']);
});

test('a device is signed in by somebody who signs in first, with a second factor', async () => {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  const { secret } = (await api.post('second-factors/totp', {}, accessToken)).body as { secret: string };
  const confirmed = await api.post('second-factors/totp/confirm', { code: codeAt(secret, Date.now()) }, accessToken);
  const { recoveryCodes } = confirmed.body as { recoveryCodes: string[] };
  const asked = (await api.post('device', { deviceName: 'robot' })).body as Record<string, string>;
  const link = new URL(asked.verificationUriComplete ?? '');
  const page = aBrowser(api.url).open(link.pathname + link.hash);
  expect([page.address(), page.value('userCode')]).toEqual(['/device', asked.userCode]);
  await page.press('Continue');
  page.type('identifier', person.email);
  page.type('password', person.password);
  await page.press('Sign in');
  page.type('code', ` ${recoveryCodes[0] ?? ''}`);
  await page.press('Continue');
  await page.press('Continue');
  expect(page.text()).toContain('Name robot Address');
  await page.press('Sign it in');
  expect(page.title()).toBe('The device is signed in');
  const granted = (await api.post('device/token', { deviceCode: asked.deviceCode })).body as { accessToken: string };
  expect((await api.call('GET', '/api/v1/auth/me', { key: granted.accessToken })).body).toMatchObject({ id: person.id });
  const [session] = await api.deps.db.rows({
    name: '',
    text: `select mfa from session where account = $1 and method = 'device'`,
    values: [person.id],
  });
  expect(session).toEqual({ mfa: true });
});

test('a device is refused, and a code that nobody has says so', async () => {
  const person = await aPerson(api);
  const browser = aBrowser(api.url);
  const page = browser.open('/device');
  page.type('userCode', 'BBBB-BBBB');
  await page.press('Continue');
  page.type('identifier', person.name);
  page.type('password', 'wrong');
  await page.press('Sign in');
  expect(page.error()).not.toBe('');
  page.type('password', person.password);
  await page.press('Sign in');
  expect([page.error(), page.value('userCode')]).toEqual(['', 'BBBB-BBBB']);
  await page.press('Continue');
  expect(page.error()).toBe('Not found');
  const asked = (await api.post('device', {})).body as Record<string, string>;
  page.type('userCode', (asked.userCode ?? '').toLowerCase());
  await page.press('Continue');
  await page.press('Refuse');
  expect((await api.post('device/token', { deviceCode: asked.deviceCode })).body).toMatchObject({ code: 'access_denied' });
});

test('a link without its token says so', () => {
  expect(aBrowser(api.url).open('/reset-password').title()).toBe('The link is incomplete');
  expect(aBrowser(api.url).open('/constructor#token=x').title()).toBe('The link is incomplete');
});
