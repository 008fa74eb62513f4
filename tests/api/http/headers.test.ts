import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { io } from 'socket.io-client';
import { allowOrigins } from '../../../src/api/http/cors.ts';
import { securityHeaders } from '../../../src/api/http/security.ts';
import { anApi, type TestApi } from '../anApi.ts';

const CONSOLE = 'https://console.example';
let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_CORS_ORIGINS: `${CONSOLE}, http://localhost:5173`, TIU_PUBLIC_URL: 'https://tiu.example' });
});
afterAll(() => api.stop());

const preflight = (path: string, origin: string) =>
  fetch(api.url + path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'idempotency-key' },
  });

test('every answer carries what browsers are told, those of problems and of other origins too', async () => {
  for (const path of ['/api/v1/runs', '/health/live', '/nowhere', '/api/docs/none.js']) {
    const { headers } = await api.call('GET', path);
    expect([path, headers.get('x-content-type-options'), headers.get('referrer-policy'), headers.get('x-frame-options')]).toEqual([
      path,
      'nosniff',
      'no-referrer',
      'DENY',
    ]);
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    expect(headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
    expect(headers.get('cache-control')).toBe('no-store');
  }
});

test('only who is reached by TLS tells browsers to come by it', () => {
  expect(securityHeaders({ TIU_PUBLIC_URL: 'http://127.0.0.1:8080' })).not.toHaveProperty('strict-transport-security');
  expect(securityHeaders({ TIU_PUBLIC_URL: undefined })).not.toHaveProperty('strict-transport-security');
});

test('the page of the API allows nothing inline', async () => {
  const { headers, text } = await api.call('GET', '/api/docs', { key: null });
  expect(headers.get('content-security-policy')).not.toContain('unsafe');
  expect(text).not.toMatch(/<script>|<style|style=|onload=/);
});

test('pages of listed origins may use the API as their user, and keep the answer about it', async () => {
  const allowed = await preflight('/api/v1/runs', CONSOLE);
  expect(allowed.status).toBe(204);
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    'access-control-allow-origin': CONSOLE,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': expect.stringContaining('PATCH'),
    'access-control-allow-headers': expect.stringContaining('idempotency-key'),
    'access-control-max-age': '7200',
    vary: expect.stringContaining('Origin'),
  });
  const answer = await api.call('GET', '/api/v1/runs', { headers: { origin: CONSOLE } });
  expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
  expect(answer.headers.get('access-control-expose-headers')).toContain('retry-after');
  const refused = await api.call('GET', '/api/v1/runs', { key: 'wrong', headers: { origin: CONSOLE } });
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, CONSOLE]);
});

test.each([
  'https://console.example.evil.test', 'https://evil.console.example', 'http://console.example', 'https://console.example:8443', 'null', '*', 'https://CONSOLE.example', 'https://console.example/',
])('a page of %s is told nothing, and caches know why', async (origin) => {
  for (const answer of [await preflight('/api/v1/runs', origin), await api.call('GET', '/api/v1/runs', { headers: { origin } })]) {
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(answer.headers.get('vary')).toContain('Origin');
  }
}); // prettier-ignore

test('what is no API is open to no page', async () => {
  expect((await preflight('/health', CONSOLE)).headers.get('access-control-allow-origin')).toBeNull();
});

test.each(['*', 'null', 'console.example', 'https://console.example/', 'https://a.example/path', 'https://A.example', 'file:///'])(
  '%s is refused as an origin at start',
  (text) => {
    expect(() => allowOrigins({ TIU_CORS_ORIGINS: text, TIU_CODEC_ORIGINS: '' })).toThrow('TIU_CORS_ORIGINS: not an origin');
  },
);

test('sockets are opened by pages of this address and of listed origins, and by what is no page', async () => {
  const opens = async (origin: string | undefined) => {
    const socket = io(api.url, {
      auth: { token: api.owner.key },
      transports: ['websocket'],
      reconnection: false,
      ...(origin !== undefined && { extraHeaders: { origin } }),
    });
    const outcome = await new Promise<boolean>(
      (resolve) =>
        void socket
          .on('connect', () => {
            resolve(true);
          })
          .on('connect_error', () => {
            resolve(false);
          }),
    );
    socket.disconnect();
    return outcome;
  };
  for (const origin of [undefined, CONSOLE, 'https://tiu.example', api.url]) expect([origin, await opens(origin)]).toEqual([origin, true]);
  for (const origin of ['https://evil.example', 'null', 'http://console.example'])
    expect([origin, await opens(origin)]).toEqual([origin, false]);
});
