import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findConnection } from '../../src/cli/connection.ts';

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-stack-'));
  fs.mkdirSync(path.join(base, '.tiu'));
  fs.mkdirSync(path.join(base, 'deep/er'), { recursive: true });
  fs.writeFileSync(path.join(base, '.tiu/stack.json'), JSON.stringify({ api: 'http://127.0.0.1:4000' }));
  fs.writeFileSync(path.join(base, '.tiu/owner.key'), 'own\n');
});
afterAll(() => {
  fs.rmSync(base, { recursive: true });
});

const found = (options: { url?: string; token?: string; env?: Record<string, string> }) =>
  findConnection({ env: {}, cwd: path.join(base, 'deep/er'), ...options });

test('the embedded stack of a folder above is found, with its owner’s key', () => {
  expect(found({})).toMatchObject({ baseUrl: 'http://127.0.0.1:4000', token: 'own' });
});

test('arguments win over the environment, the environment over the stack', () => {
  const env = { TIU_URL: 'http://env', TIU_TOKEN: 'from-env' };
  expect(found({ env })).toMatchObject({ baseUrl: 'http://env', token: 'from-env' });
  expect(found({ env, url: 'http://arg/', token: 'from-arg' })).toMatchObject({ baseUrl: 'http://arg', token: 'from-arg' });
});

test('the owner’s key is never sent to another address', () => {
  expect(() => found({ url: 'http://elsewhere' })).toThrow(/no key for http:\/\/elsewhere/);
  expect(() => found({ env: { TIU_URL: 'http://elsewhere' } })).toThrow(/no key/);
});

test('without a stack it says how to start one', () => {
  let error: unknown;
  try {
    findConnection({ env: {}, cwd: os.tmpdir() });
  } catch (caught) {
    error = caught;
  }
  expect(error).toMatchObject({ exitCode: 3, hint: expect.stringContaining('npm start') as unknown });
});
