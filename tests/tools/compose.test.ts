import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import pg from 'pg';
import { parse } from 'yaml';
import { makeCluster, postgresPlace } from '../../tools/setup.mjs';
import { startPostgres } from '../../src/dev/postgres.ts';
import { DYNAMIC_CONFIG } from '../../src/dev/temporal.ts';

type Service = {
  image: string;
  restart: string;
  command?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
  networks: string[];
  volumes?: string[];
  configs?: { source: string }[];
};
type Compose = {
  services: Record<string, Service>;
  networks: Record<string, unknown>;
  volumes: Record<string, unknown>;
  configs: Record<string, { content: string }>;
};

const compose = parse(fs.readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const waitedFor = (name: string) => services.flatMap(([, service]) => service.depends_on?.[name]?.condition ?? []);

test('the compose file follows the compose specification', () => {
  const schema = JSON.parse(fs.readFileSync('tests/fixtures/compose/compose-spec.json', 'utf8')) as { $schema?: string };
  delete schema.$schema; // draft 7 under a name that the validator does not know
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  validate(compose);
  expect(validate.errors).toBeNull();
});

test('docker accepts the compose file, where there is one with compose', () => {
  const env = { ...process.env, POSTGRES_PASSWORD: 'a', TIU_DB_PASSWORD: 'b', TEMPORAL_DB_PASSWORD: 'c' };
  const docker = (...args: string[]) => spawnSync('docker', ['compose', ...args], { encoding: 'utf8', env });
  if (docker('version').status !== 0) return;
  expect(docker('config', '--quiet')).toMatchObject({ status: 0, stderr: '' });
});

test('every image has a full version', () => {
  for (const [name, { image }] of services) expect([name, image]).toEqual([name, expect.stringMatching(/:\d+\.\d+(\.\d+)?(-[a-z]+)?$/)]);
});

test('everything that a service names is there', () => {
  for (const [, service] of services) {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(service.depends_on ?? {})));
    expect(Object.keys(compose.networks)).toEqual(expect.arrayContaining(service.networks));
    expect(Object.keys(compose.volumes)).toEqual(expect.arrayContaining((service.volumes ?? []).map((volume) => volume.split(':')[0])));
    expect(Object.keys(compose.configs)).toEqual(expect.arrayContaining((service.configs ?? []).map((config) => config.source)));
    for (const file of (service.command ?? []).filter((word) => word.startsWith('src/')))
      expect([file, fs.existsSync(file)]).toEqual([file, true]);
  }
});

test('a service that is waited for ends, or says when it is healthy', () => {
  for (const [name, service] of services)
    for (const condition of waitedFor(name)) {
      const ends = service.restart.startsWith('on-failure');
      expect([name, condition]).toEqual([name, ends ? 'service_completed_successfully' : 'service_healthy']);
      expect([name, ends || service.healthcheck !== undefined]).toEqual([name, true]);
    }
});

test('the server in production has the settings of the embedded one', () => {
  const settings = parse(compose.configs['dynamic-config']?.content ?? '') as Record<string, [{ value: unknown }]>;
  expect(Object.fromEntries(Object.entries(settings).map(([name, [{ value }]]) => [name, value]))).toEqual(DYNAMIC_CONFIG);
});

test('the image has the Node of the set-up', () => {
  const { optionalDependencies } = JSON.parse(fs.readFileSync('tools/node/package.json', 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  const [version] = Object.values(optionalDependencies);
  const images = fs.readFileSync('Dockerfile', 'utf8').match(/(?<=^FROM )\S+/gm);
  expect(images).toEqual([`node:${version ?? ''}-trixie-slim`, `node:${version ?? ''}-trixie-slim`]);
});

test('the migrations run as the owner of the database that compose makes, who is no superuser, and a key can be made', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-compose-'));
  fs.chmodSync(folder, 0o755);
  const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
  const passwordFile = path.join(folder, 'password');
  makeCluster(place, passwordFile);
  const postgres = await startPostgres({ place, passwordFile });
  try {
    await runDatabases(postgres.url);
    const url = new URL(postgres.url.replace(/postgres$/, 'app'));
    url.username = 'app';
    url.password = 'one';
    const main = async (...args: string[]) =>
      JSON.parse(
        (await promisify(execFile)(process.execPath, ['src/db/main.ts', ...args], { env: { ...process.env, DATABASE_URL: url.href } }))
          .stdout,
      ) as {
        applied?: string[];
        key?: string;
      };
    expect((await main()).applied?.length).toBe(fs.readdirSync('migrations').length);
    expect((await main()).applied).toEqual([]);
    expect((await main('key', 'default')).key).toMatch(/^tiu_/);
  } finally {
    await postgres.stop();
    fs.rmSync(folder, { recursive: true });
  }
});

/** The script of compose as psql would run it; its `tiu` is called `app`, for the superuser here is called `tiu`. */
async function runDatabases(url: string): Promise<void> {
  const script = (compose.configs.databases?.content ?? '')
    .replaceAll(/^\\getenv.*$/gm, '')
    .replaceAll(":'tiu'", "'one'")
    .replaceAll(":'temporal'", "'two'");
  const client = new pg.Client(url);
  await client.connect();
  for (const statement of script.replaceAll(/\btiu\b/g, 'app').split(';')) if (statement.trim() !== '') await client.query(statement);
  await client.end();
}
