import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aPerson, lastMail, OTHER, signedIn, someAccounts, type Accounts, type Person } from '../api/accounts/aPerson.ts';
import { aRealBrowser, type Page, type RealBrowser } from './aRealBrowser.ts';

let api: Accounts;
let browser: RealBrowser;
let origin: string;
/** What browsers complain about: a script that fails, or something that the policy forbids. */
const complaints: string[] = [];
beforeAll(async () => {
  api = await someAccounts();
  origin = api.url.replace('127.0.0.1', 'localhost'); // trustworthy without TLS, for cookies that are Secure and for passkeys
  api.deps.config = { ...api.deps.config, TIU_PUBLIC_URL: origin };
  browser = await aRealBrowser();
});
afterAll(async () => {
  await Promise.all([browser.close(), api.stop()]);
  expect(complaints).toEqual([]);
});

/** A page of a browser that knows nothing. */
async function open(link: string) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  // a refused request is an error to the console; what it is about is said on the page
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(link, { waitUntil: 'networkidle0' });
  return { page, context };
}
const fill = async (page: Page, fields: Record<string, string>) => {
  for (const [name, value] of Object.entries(fields)) await page.locator(`#${name}`).fill(value);
};
const press = async (page: Page, name: string) => {
  await page.locator(`::-p-aria([name="${name}"][role="button"])`).click();
};
/** Kept when an element says so. */
const says = (page: Page, id: string, text: string) =>
  page.waitForFunction(`document.getElementById('${id}').textContent.startsWith(${JSON.stringify(text)})`, { timeout: 10_000 });
const shows = (page: Page, title: string) => says(page, 'title', title);
const linkTo = async (person: Person): Promise<string> => /http:\S+#token=\S+/.exec(await lastMail(api, person.email))?.[0] ?? '';

test('a browser sets another password with the link of a mail; the token leaves the address, and nothing is blocked', async () => {
  const person = await aPerson(api);
  await api.post('forgot-password', { email: person.email });
  const { page } = await open(await linkTo(person));
  expect(page.url()).toBe(`${origin}/reset-password`);
  await shows(page, 'Set a new password');
  await fill(page, { password: 'short' });
  await press(page, 'Set the password');
  await says(page, 'error', 'password: ');
  await fill(page, { password: OTHER });
  await press(page, 'Set the password');
  await shows(page, 'The password is set');
  expect(await page.evaluate('document.activeElement.id')).toBe('title');
  await signedIn(api, { ...person, password: OTHER });
});

test('a browser lets a device in: it signs in with cookies that no script reads', async () => {
  const person = await aPerson(api);
  const asked = (await api.post('device', { deviceName: 'robot' })).body as { verificationUriComplete: string; deviceCode: string };
  const { page, context } = await open(asked.verificationUriComplete);
  await press(page, 'Continue');
  await fill(page, { identifier: person.name, password: person.password });
  await press(page, 'Sign in');
  await press(page, 'Continue');
  await press(page, 'Sign it in');
  await shows(page, 'The device is signed in');
  expect(await page.evaluate('document.cookie')).toBe('');
  const cookies = await context.cookies();
  expect(cookies.map(({ name, httpOnly, secure }) => [name, httpOnly, secure]).sort()).toEqual([
    ['__Host-tiu_access', true, true],
    ['__Host-tiu_refresh', true, true],
  ]);
  expect((await api.post('device/token', { deviceCode: asked.deviceCode })).status).toBe(200);
});

test('a browser makes a passkey, and signs in with it without a name', async () => {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  const { page } = await open(`${origin}/device`);
  const session = await page.createCDPSession();
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
  });
  const post = `async (path, { token, body } = {}) => {
    const headers = { ...(token && { authorization: 'Bearer ' + token }), ...(body && { 'content-type': 'application/json' }) };
    const answer = await fetch('/api/v1/auth/' + path, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) });
    return { status: answer.status, body: await answer.json() };
  }`;
  const made = await page.evaluate(`(async (post, token) => {
    const { body: options } = await post('second-factors/passkeys/options', { token });
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const response = (await navigator.credentials.create({ publicKey })).toJSON();
    return post('second-factors/passkeys', { token, body: { name: 'this browser', response } });
  })(${post}, '${accessToken}')`);
  expect(made).toEqual({ status: 201, body: { id: expect.any(String) } });
  const signed = (await page.evaluate(`(async (post) => {
    const { body: options } = await post('login/passkey/options');
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const passkey = (await navigator.credentials.get({ publicKey })).toJSON();
    return post('login/passkey', { body: { passkey } });
  })(${post})`)) as { status: number; body: { accessToken?: string } };
  expect(signed).toMatchObject({ status: 200 });
  const me = await api.call('GET', '/api/v1/auth/me', { key: signed.body.accessToken ?? '' });
  expect(me.body).toMatchObject({ id: person.id });
});
