import { once } from 'node:events';
import fs from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createApi } from '../../src/api/createApi.ts';
import { createDeps } from '../../src/api/createDeps.ts';
import type { Deps } from '../../src/api/deps.ts';
import { createSockets } from '../../src/api/realtime/sockets.ts';
import { ensureOwner } from '../../src/db/repositories/owner.ts';
import { readConfig } from '../../src/runtime/config.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { documented } from './documented.ts';

type Owner = { workspace: string; key: string };
type Answer = { status: number; headers: Headers; body: unknown; text: string };
export type Options = { key?: string | null; body?: unknown; headers?: Record<string, string>; raw?: string | Buffer };

export type TestApi = {
  url: string;
  base: TestDatabase;
  deps: Deps;
  server: Server;
  owner: Owner;
  stranger: Owner;
  folder: string;
  /** Sends a request as the owner; the answer must be as the OpenAPI document says. */
  call: (method: string, path: string, options?: Options) => Promise<Answer>;
  stop: () => Promise<void>;
};

/** Tests share their process and a busy machine with the API. */
const PATIENT = { TIU_MAX_EVENT_LOOP_DELAY: '60000' };

const quiet = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields: object, event: string) => {
    console.error(event, fields);
  },
};

/** The API in this process over a database of its own. */
export async function anApi(settings: Record<string, string> = {}, more: { clock?: () => number } = {}): Promise<TestApi> {
  const base = await aDatabase();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-api-'));
  const config = readConfig({ DATABASE_URL: base.url, TIU_OBJECTS: path.join(folder, 'objects'), ...PATIENT, ...settings });
  const { deps, close } = await createDeps(config, quiet, more.clock);
  const ending = new AbortController();
  const server = createApi(deps, ending.signal);
  const sockets = createSockets(deps, server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [owner, stranger] = await Promise.all(['own', 'other'].map((workspaceName) => ensureOwner(deps.db, { workspaceName })));
  if (!owner || !stranger) throw new Error('no owner');
  return {
    url,
    base,
    deps,
    server,
    owner,
    stranger,
    folder,
    call: (method, target, options = {}) => call(url, { method, target, key: owner.key, ...options }),
    stop: async () => {
      ending.abort();
      server.closeAllConnections();
      await sockets.close();
      await close();
      await base.drop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function call(url: string, request: Options & { method: string; target: string }): Promise<Answer> {
  const json = request.body === undefined ? undefined : JSON.stringify(request.body);
  const response = await fetch(url + request.target, {
    method: request.method,
    headers: {
      ...(request.key === null ? {} : { authorization: `Bearer ${request.key ?? ''}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...request.headers,
    },
    body: json ?? (request.raw as string | undefined) ?? null,
  });
  const text = await response.text();
  const isJson = /json(?<!ndjson)/.test(response.headers.get('content-type') ?? '');
  const answer = { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as unknown) : text };
  documented(request.method, new URL(url + request.target).pathname, answer);
  return answer;
}
