import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeCluster, postgresPlace, temporalBinary } from '../../tools/setup.mjs';
import { migrate } from '../../src/db/migrate.ts';
import { ensureDatabase } from '../../src/db/ensureDatabase.ts';
import { createGuard, type Guard } from '../../src/dev/guard.ts';
import { startPostgres } from '../../src/dev/postgres.ts';
import type { Stoppable } from '../../src/dev/process.ts';
import { startTemporal } from '../../src/dev/temporal.ts';

export const TEMPLATE = 'tiu_template';

export type TestServers = { started: Stoppable[]; folder: string; guard: Guard };

/** One PostgreSQL and one Temporal for all suites of a run, in a fresh folder; suites are apart by database and task queue. */
export default async function globalSetup(): Promise<void> {
  const binary = temporalBinary();
  if (binary === undefined) throw new Error('the tests start a Temporal server of their own: run npm run setup without TEMPORAL_ADDRESS');
  const guard = createGuard(); // a run that is interrupted or killed has no teardown
  const started: Stoppable[] = [];
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-tests-'));
  Object.assign(globalThis, { tiuTests: { started, folder, guard } satisfies TestServers });
  fs.chmodSync(folder, 0o755);
  const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
  const passwordFile = path.join(folder, 'password');
  makeCluster(place, passwordFile);
  const postgres = await startPostgres({ place, passwordFile, settings: { max_connections: '300' }, guard });
  started.push(postgres);
  await migrate(await ensureDatabase(postgres.url, TEMPLATE));
  const temporal = await startTemporal({ binary, database: path.join(folder, 'temporal.db'), uiPort: false, guard });
  started.push(temporal);
  process.env.TIU_TEST_DATABASE_URL = postgres.url;
  process.env.TIU_TEST_TEMPORAL_ADDRESS = temporal.address;
}
