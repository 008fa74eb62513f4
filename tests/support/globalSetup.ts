import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { makeCluster, postgresPlace, temporalBinary } from '../../tools/setup.mjs';
import { migrate } from '../../src/db/migrate.ts';
import { startPostgres } from '../../src/dev/postgres.ts';
import type { Stoppable } from '../../src/dev/process.ts';
import { startTemporal } from '../../src/dev/temporal.ts';

export const TEMPLATE = 'tiu_template';

/** One PostgreSQL and one Temporal for all suites of a run, in a fresh folder; suites are apart by database and task queue. */
export default async function globalSetup(): Promise<void> {
  const started: Stoppable[] = [];
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-tests-'));
  Object.assign(globalThis, { tiuTests: { started, folder } });
  fs.chmodSync(folder, 0o755);
  const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
  const passwordFile = path.join(folder, 'password');
  makeCluster(place, passwordFile);
  const postgres = await startPostgres({ place, passwordFile, settings: { max_connections: '300' } });
  started.push(postgres);
  const admin = new pg.Client(postgres.url);
  await admin.connect();
  await admin.query(`create database ${TEMPLATE}`);
  await admin.end();
  await migrate(postgres.url.replace(/\/postgres$/, `/${TEMPLATE}`));
  const temporal = await startTemporal({ binary: temporalBinary() ?? '', database: path.join(folder, 'temporal.db'), uiPort: false });
  started.push(temporal);
  process.env.TIU_TEST_DATABASE_URL = postgres.url;
  process.env.TIU_TEST_TEMPORAL_ADDRESS = temporal.address;
}
