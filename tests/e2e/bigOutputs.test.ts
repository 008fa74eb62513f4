import { createHash, type Hash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import os from 'node:os';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStack, type TestStack } from '../support/aStack.ts';

const MB = 1_000_000;
/** As much as an output may have. */
const SIZE = 100 * MB;

/** A JSON list of texts, 1 MB each, that is `SIZE` bytes long. */
function* big(): Generator<Buffer> {
  for (let i = 0; i < 100; i++) {
    const text = Buffer.alloc(MB, String.fromCharCode(97 + (i % 26)));
    text.write(i === 0 ? '["' : '"', 0);
    text.write(i === 99 ? '"]' : '",', MB - 2);
    yield text;
  }
}
const hashOf = async (chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<{ sha256: string; size: number }> => {
  const hash: Hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex'), size };
};

let stack: TestStack;
let server: http.Server;
let folder: string;
const taken: { sha256: string; size: number; length: string | undefined; type: string | undefined }[] = [];

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-big-'));
  server = http.createServer((request, response) => {
    if (request.method === 'GET') Readable.from(big()).pipe(response);
    else
      void hashOf(request).then((body) => {
        taken.push({ ...body, length: request.headers['content-length'], type: request.headers['content-type'] });
        response.end('{}');
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // a heap that could not hold it even once as text
  stack = await aStack({ env: { NODE_OPTIONS: '--max-old-space-size=96', TIU_HTTP_ALLOW: '127.0.0.0/8', TIU_OBJECTS: folder } });
});
afterAll(async () => {
  await stack.stop();
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const ask = (at: string, more: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
  fetch(`${stack.url}/api/v1${at}`, { ...more, headers: { authorization: `Bearer ${stack.key}`, ...more.headers } });

const definition = (url: string) => ({
  dsl: 'tiu/1',
  name: 'big',
  tasks: {
    get: { type: 'http', with: { url } },
    same: { type: 'transform', with: { value: '${tasks.get.output.body}' } },
    nested: { type: 'transform', with: { value: { list: '${tasks.same.output}', n: 1 } } },
    send: { type: 'http', with: { method: 'POST', url, body: '${tasks.same.output}' } },
    whole: { type: 'http', with: { method: 'POST', url, body: '${tasks.nested.output}' } },
    inside: { type: 'transform', with: { value: '${size(tasks.same.output)}' }, onError: 'continue' },
  },
  output: { value: '${tasks.same.output}' },
});

test('100 MB go through tasks by reference, stored once, with a heap that could not hold them', async () => {
  const want = await hashOf(big());
  expect(want.size).toBe(SIZE);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const started = await ask('/runs', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'big' },
    body: JSON.stringify({ definition: definition(url) }),
  });
  const { id } = (await started.json()) as { id: string };
  const run = (await (await ask(`/runs/${id}`, { headers: { prefer: 'wait=60' } })).json()) as object;
  expect(run).toMatchObject({ status: 'completed' });

  expect(taken.find(({ size }) => size === SIZE)).toEqual({ ...want, length: String(SIZE), type: 'application/json' });
  expect(taken.find(({ size }) => size !== SIZE)?.size).toBe(SIZE + '{"list":,"n":1}'.length);
  const inside = (await (await ask(`/runs/${id}/tasks/inside`)).json()) as object;
  expect(inside).toMatchObject({ status: 'failed', failure: { code: 'output_too_large' } });

  const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /[0-9a-f]{64}$/.test(name));
  expect(files.map((name) => path.basename(name))).toEqual([want.sha256]);

  const streamed = await ask(`/runs/${id}/tasks/same/output`);
  expect([streamed.headers.get('content-length'), streamed.headers.get('etag')]).toEqual([String(SIZE), `"${want.sha256}"`]);
  expect(await hashOf(streamed.body as unknown as AsyncIterable<Uint8Array>)).toEqual(want);
  const again = await ask(`/runs/${id}/tasks/same/output`, { headers: { 'if-none-match': `"${want.sha256}"` } });
  expect(again.status).toBe(304);
  const output = await ask(`/runs/${id}/output`);
  const head = `{"runId":"${id}","status":"completed","output":`;
  expect(output.headers.get('content-length')).toBe(String(SIZE + head.length + 1));
  expect((await hashOf(output.body as unknown as AsyncIterable<Uint8Array>)).size).toBe(SIZE + head.length + 1);
  const peak = [...stack.workers, ...stack.apis].map(
    ({ pid }) => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
  );
  expect(Math.max(...peak)).toBeLessThan(400); // both processes with all they have loaded, MB
});
