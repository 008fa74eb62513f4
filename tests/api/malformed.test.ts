import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type Options, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_MAX_BODY: '20000', TIU_MAX_UPLOAD: '30000', TIU_MAX_INPUT: '5000' });
});
afterAll(() => api.stop());

const NOWHERE = '01890000-0000-7000-8000-000000000000';
const definition = { dsl: 'tiu/1', name: 'a', tasks: { a: { type: 'transform', with: { value: 1 } } } };
const deep = (levels: number) => '{"definition":' + '['.repeat(levels) + ']'.repeat(levels) + '}';
const json = { 'content-type': 'application/json' };
const keyed = () => ({ ...json, 'idempotency-key': randomUUID() });

type Case = [what: string, method: string, path: string, options: Options, status: number, code: string];
const RUNS = '/api/v1/runs';

// prettier-ignore
const cases: Case[] = [
  ['no such path', 'GET', '/api/v1/nothing', {}, 404, 'not_found'],
  ['no such path above the API', 'GET', '/', {}, 404, 'not_found'],
  ['a method that the path has not', 'DELETE', RUNS, {}, 405, 'method_not_allowed'],
  ['a method nobody knows', 'PROPFIND', RUNS, {}, 405, 'method_not_allowed'],
  ['badly encoded path', 'GET', `${RUNS}/%ZZ`, {}, 400, 'malformed_request'],
  ['path with a broken UTF-8 sequence', 'GET', `${RUNS}/%ff`, {}, 400, 'malformed_request'],
  ['U+0000 in the path', 'GET', '/api/v1/workflows/a%00b', {}, 400, 'malformed_request'],
  ['U+0000 in a query', 'GET', `${RUNS}?workflow=%00`, {}, 400, 'malformed_request'],
  ['no key', 'GET', RUNS, { key: null }, 401, 'unauthenticated'],
  ['an unknown key', 'GET', RUNS, { key: `tiu_${'0'.repeat(32)}_${'a'.repeat(43)}` }, 401, 'unauthenticated'],
  ['a key of no form', 'GET', RUNS, { key: 'nothing' }, 401, 'unauthenticated'],
  ['another scheme', 'GET', RUNS, { key: null, headers: { authorization: 'Basic YTpi' } }, 401, 'unauthenticated'],
  ['an Accept that nobody can serve', 'GET', RUNS, { headers: { accept: 'image/png' } }, 406, 'not_acceptable'],
  ['no such run', 'GET', `${RUNS}/${NOWHERE}`, {}, 404, 'not_found'],
  ['a run id of no form', 'GET', `${RUNS}/not-an-id`, {}, 404, 'not_found'],
  ['a run id in capitals', 'GET', `${RUNS}/${NOWHERE.toUpperCase().replace('1', 'A')}`, {}, 404, 'not_found'],
  ['no such artifact', 'GET', `/api/v1/artifacts/${'0'.repeat(64)}`, {}, 404, 'not_found'],
  ['an artifact hash of no form', 'GET', '/api/v1/artifacts/..%2f..%2fetc%2fpasswd', {}, 404, 'not_found'],
  ['no such page asset', 'GET', '/api/docs/__proto__', {}, 404, 'not_found'],
  ['a limit that is none', 'GET', `${RUNS}?limit=many`, {}, 422, 'invalid_request'],
  ['a limit of 0', 'GET', `${RUNS}?limit=0`, {}, 422, 'invalid_request'],
  ['a limit beyond the largest', 'GET', `${RUNS}?limit=1e9`, {}, 422, 'invalid_request'],
  ['a limit twice', 'GET', `${RUNS}?limit=1&limit=2`, {}, 422, 'invalid_request'],
  ['a parameter nobody knows', 'GET', `${RUNS}?colour=blue`, {}, 422, 'invalid_request'],
  ['a cursor of no form', 'GET', `${RUNS}?cursor=%F0%9F%92%A9`, {}, 422, 'invalid_request'],
  ['a status nobody knows', 'GET', `${RUNS}?status=done`, {}, 422, 'invalid_request'],
  ['a time that is none', 'GET', `${RUNS}?since=yesterday`, {}, 422, 'invalid_request'],
  ['a label without a value', 'GET', `${RUNS}?label=team`, {}, 422, 'invalid_request'],
  ['an event number below 0', 'GET', `${RUNS}/${NOWHERE}/events?after=-1`, {}, 422, 'invalid_request'],
  ['an event number beyond all', 'GET', `${RUNS}/${NOWHERE}/events?after=1e300`, {}, 422, 'invalid_request'],
  ['no body', 'POST', RUNS, { headers: { 'idempotency-key': 'a' } }, 422, 'invalid_request'],
  ['an empty object', 'POST', RUNS, { body: {}, headers: keyed() }, 422, 'invalid_request'],
  ['a list', 'POST', RUNS, { body: [], headers: keyed() }, 422, 'invalid_request'],
  ['null', 'POST', RUNS, { raw: 'null', headers: keyed() }, 422, 'invalid_request'],
  ['half a JSON text', 'POST', RUNS, { raw: '{"definition":', headers: keyed() }, 400, 'malformed_body'],
  ['bytes that are not UTF-8', 'POST', RUNS, { raw: Buffer.from([0x22, 0xff, 0xfe, 0x22]), headers: keyed() }, 400, 'malformed_body'],
  ['nested too deep', 'POST', RUNS, { raw: deep(5_000), headers: keyed() }, 400, 'malformed_body'],
  ['a number beyond doubles', 'POST', RUNS, { raw: '{"definition":{},"input":1e999}', headers: keyed() }, 422, 'number_out_of_range'],
  ['an integer that would be rounded', 'POST', RUNS, { raw: '{"definition":{},"input":12345678901234567891}', headers: keyed() }, 422, 'number_out_of_range'],
  ['a body that is too large', 'POST', RUNS, { raw: JSON.stringify({ definition: 'x'.repeat(30_000) }), headers: keyed() }, 413, 'payload_too_large'],
  ['an input that is too large', 'POST', RUNS, { body: { definition, input: { a: 'x'.repeat(6_000) } }, headers: keyed() }, 413, 'payload_too_large'],
  ['an upload that is too large', 'POST', '/api/v1/artifacts', { raw: 'x'.repeat(40_000), headers: { 'content-type': 'text/plain' } }, 413, 'payload_too_large'],
  ['an empty upload', 'POST', '/api/v1/artifacts', {}, 400, 'malformed_body'],
  ['an upload with U+0000 in its name', 'POST', '/api/v1/artifacts?name=a%00', { raw: 'x' }, 400, 'malformed_request'],
  ['a form', 'POST', RUNS, { raw: 'a=b', headers: { ...keyed(), 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'unsupported_media_type'],
  ['no media type', 'POST', RUNS, { raw: Buffer.from('{}'), headers: { 'idempotency-key': 'a', 'content-type': '' } }, 415, 'unsupported_media_type'],
  ['another charset', 'POST', RUNS, { raw: '{}', headers: { ...keyed(), 'content-type': 'application/json; charset=utf-16' } }, 415, 'unsupported_media_type'],
  ['a compressed body', 'POST', RUNS, { raw: '{}', headers: { ...keyed(), 'content-encoding': 'gzip' } }, 415, 'unsupported_media_type'],
  ['YAML where only JSON is read', 'POST', '/api/v1/api-keys', { raw: 'name: a', headers: { 'content-type': 'application/yaml' } }, 415, 'unsupported_media_type'],
  ['a body where none is read', 'DELETE', '/api/v1/api-keys/none', { body: {} }, 415, 'unsupported_media_type'],
  ['an idempotency key with spaces', 'POST', RUNS, { body: { definition }, headers: { 'idempotency-key': 'a b' } }, 400, 'malformed_request'],
  ['an idempotency key that is too long', 'POST', RUNS, { body: { definition }, headers: { 'idempotency-key': 'k'.repeat(256) } }, 400, 'malformed_request'],
  ['neither key nor run id', 'POST', RUNS, { body: { definition } }, 428, 'idempotency_key_required'],
  ['a run id of no form', 'POST', RUNS, { body: { definition, runId: 'mine' } }, 422, 'invalid_request'],
  ['both definition and workflow', 'POST', RUNS, { body: { definition, workflow: { name: 'a' } }, headers: keyed() }, 422, 'invalid_request'],
  ['a member nobody knows', 'POST', RUNS, { body: { definition, colour: 1 }, headers: keyed() }, 422, 'invalid_request'],
  ['a priority nobody knows', 'POST', RUNS, { body: { definition, priority: 'urgent' }, headers: keyed() }, 422, 'invalid_request'],
  ['labels that are numbers', 'POST', RUNS, { body: { definition, labels: { a: 1 } }, headers: keyed() }, 422, 'invalid_request'],
  ['a label with U+0000', 'POST', RUNS, { body: { definition, labels: { a: 'x\0' } }, headers: keyed() }, 422, 'invalid_request'],
  ['a member called __proto__', 'POST', RUNS, { raw: '{"definition":{},"__proto__":{"a":1}}', headers: keyed() }, 422, 'invalid_request'],
  ['a definition called __proto__', 'POST', RUNS, { raw: '{"definition":{"dsl":"tiu/1","name":"a","tasks":{"__proto__":{"type":"transform"}}}}', headers: keyed() }, 422, 'invalid_definition'],
  ['an empty definition', 'POST', RUNS, { body: { definition: {} }, headers: keyed() }, 422, 'invalid_definition'],
  ['YAML that is none', 'POST', RUNS, { raw: 'a: [1', headers: { ...keyed(), 'content-type': 'application/yaml' } }, 422, 'invalid_definition'],
  ['YAML with too many aliases', 'POST', RUNS, { raw: bomb(), headers: { ...keyed(), 'content-type': 'application/yaml' } }, 422, 'invalid_definition'],
  ['a workflow that is not stored', 'POST', RUNS, { body: { workflow: { name: 'nothing' } }, headers: keyed() }, 404, 'not_found'],
  ['a workflow name of no form', 'POST', RUNS, { body: { workflow: { name: '../x' } }, headers: keyed() }, 422, 'invalid_request'],
  ['a cancel with a number for reason', 'POST', `${RUNS}/${NOWHERE}/cancel`, { body: { reason: 5 } }, 422, 'invalid_request'],
  ['a cancel of no run', 'POST', `${RUNS}/${NOWHERE}/cancel`, {}, 404, 'not_found'],
  ['a key with a scope nobody knows', 'POST', '/api/v1/api-keys', { body: { name: 'a', scopes: ['all'] } }, 422, 'invalid_request'],
  ['a revoke of no key', 'DELETE', '/api/v1/api-keys/none', {}, 404, 'not_found'],
  ['an address that is too long', 'GET', `${RUNS}?workflow=${'a'.repeat(9_000)}`, {}, 414, 'uri_too_long'],
  ['headers that are too large', 'GET', RUNS, { headers: { 'x-large': 'a'.repeat(40_000) } }, 431, 'headers_too_large'],
];

function bomb(): string {
  const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array.from({ length: 10 }, () => `*a${i}`).join(', ')}]`);
  return `a0: &a0 [x]\n${levels.join('\n')}\n`;
}

test.each(cases)('%s: %s %s', async (...[, method, path, options, status, code]) => {
  const answer = await api.call(method, path, options);
  expect({ status: answer.status, code: (answer.body as { code?: string }).code ?? '' }).toEqual({ status, code });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body).toMatchObject({ status, requestId: answer.headers.get('x-request-id') });
  expect(answer.text).not.toMatch(/node_modules|\.ts\b|select |pg_|zod|koa/i);
});

test('the table has at least 50 requests and the process is still up', async () => {
  expect(cases.length).toBeGreaterThanOrEqual(50);
  expect((await api.call('GET', '/health/ready', { key: null })).body).toEqual({ status: 'ok', database: true, migrations: true });
});

async function raw(text: string): Promise<string> {
  const { port, hostname } = new URL(api.url);
  const socket = net.connect(Number(port), hostname);
  socket.write(text);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  await once(socket, 'close');
  return answer;
}

test('what is not HTTP is answered with a problem, too', async () => {
  const answer = await raw('NONSENSE\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*"code":"malformed_request"/);
  expect(await raw('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await raw('POST /api/v1/runs HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 400 /,
  );
});

test('a body that grows beyond the limit while it arrives is cut off', async () => {
  const head = `POST /api/v1/runs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${api.owner.key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
  expect(await raw(`${head}7530\r\n${'x'.repeat(30_000)}\r\n`)).toMatch(/^HTTP\/1\.1 413 /);
});
