import { readdirSync } from 'node:fs';
import { claimObject } from '../db/artifacts.ts';
import { createClosingCheck } from '../db/closingCheck.ts';
import { createCommands } from '../db/commands.ts';
import { openDatabase, type OrmDatabase } from '../db/database.ts';
import { createFires } from '../db/fires.ts';
import { createForks } from '../db/forks.ts';
import { createPlans } from '../db/repositories/plans.ts';
import { createSubmits } from '../db/submit.ts';
import { createWalls } from '../db/wall.ts';
import { walledDatabase } from '../db/walledDatabase.ts';
import { openAuditKeys } from '../providers/auditKeys/auditKeys.ts';
import { createObjectStore } from '../providers/objectStore/objectStore.ts';
import { openPayloadCipher } from '../providers/payloadCipher/payloadKeys.ts';
import { openSecretCipher } from '../providers/secretCipher/secretCipher.ts';
import type { Config } from '../runtime/config.ts';
import { openIdentity } from './auth/identity.ts';
import { createDefinitions } from './definitions.ts';
import type { Deps } from './deps.ts';
import { createPressure } from './http/pressure.ts';
import { createLimits } from './http/rateLimit.ts';
import type { Log } from './log.ts';
import { createApiMetrics } from './metrics.ts';
import { openapi } from './openapi.ts';
import { createAwaited } from './realtime/awaited.ts';
import { createClosings } from './realtime/closings.ts';
import { createFeed } from './realtime/feed.ts';
import { holdingRoom } from './quota/holdingRoom.ts';
import { createQuotas } from './quota/quotas.ts';
import { createRooms } from './realtime/rooms.ts';
import { createUntouched } from './realtime/untouched.ts';
import { createWorkspaces } from './realtime/workspaces.ts';
import { routes } from './routes.ts';

/** Opens everything an API process needs. `close` ends it, after the server has ended. */
export async function createDeps(config: Config, log: Log, clock = () => Date.now()): Promise<{ deps: Deps; close: () => Promise<void> }> {
  const url = config.DATABASE_URL;
  const views = await openViews(config);
  const { db, engine } = views;
  const report = (event: string, fields: Record<string, unknown>) => {
    log.warn(fields, event);
  };
  const submits = createSubmits({ url, log: report, priorityAgeMs: config.TIU_PRIORITY_AGE });
  const forks = createForks({ url, log: report, priorityAgeMs: config.TIU_PRIORITY_AGE });
  const commands = createCommands({ url, log: report });
  const feed = createFeed({ url, log });
  const untouched = createUntouched(feed);
  const plans = createPlans(db);
  const base = { db, log, metrics: createApiMetrics(), clock };
  const bounds = createBounds(config, { engine, clock, submits: submits.waiting, reads: views.waiting });
  const secretCipher = openSecretCipher(config);
  const identity = await openIdentity(config, { db: engine, feed, log, clock, metrics: base.metrics, secretCipher });
  const room = { db: engine, quotas: bounds.quotas, closed: createClosingCheck(engine, clock) };
  const submitRun = holdingRoom(room, submits.submitRun);
  let document: object | undefined;
  const deps: Deps = {
    ...base,
    config,
    ...{ engine, walls: views.walls },
    plans,
    definitions: createDefinitions(),
    objects: createObjectStore({
      root: config.TIU_OBJECTS,
      maxBytes: config.TIU_MAX_UPLOAD,
      claim: (workspace, object) => claimObject(db, workspace, object),
    }),
    fires: createFires({ db, plans, submitRun, defaults: { maxInputBytes: config.TIU_MAX_INPUT, mode: config.TIU_MODE } }),
    payloadCipher: openPayloadCipher(config),
    secretCipher,
    submitRun,
    forkRun: holdingRoom(room, forks.forkRun),
    closed: room.closed,
    ...{ pressure: bounds.pressure, limits: bounds.limits, quotas: bounds.quotas, sockets: { countOf: () => 0 } },
    command: commands.command,
    poke: commands.poke,
    tellBulk: commands.tellBulk,
    ...identity.deps,
    auditKeys: openAuditKeys(config),
    closings: createClosings({ db: engine, feed, log }),
    untouched,
    awaited: createAwaited({ untouched, tell: submits.tellAwaited }),
    rooms: createRooms({ db: engine, plans, feed, log }),
    workspaces: createWorkspaces({ db: engine, feed, log, config }),
    document: () => (document ??= openapi(routes)), // takes 40 MB to make: not before somebody asks
    migrations: neededMigrations(),
  };
  const close = async () => {
    bounds.pressure.close();
    await Promise.all([feed.close(), identity.close()]);
    await Promise.all([submits.close(), forks.close(), commands.close()]);
    await Promise.all([bounds.limits.close().catch(() => undefined), bounds.quotas.close()]);
    await db.close();
  };
  return { deps, close };
}

/** The database as requests see it and as the engine does; besides, feed, submits, forks, commands and notices have connections of their own. */
async function openViews(config: Config) {
  const url = config.DATABASE_URL;
  const walls = createWalls();
  const [engine, walled] = await Promise.all([
    openDatabase({ url, role: 'tiu_engine', max: config.TIU_ENGINE_CONNECTIONS }),
    openDatabase({ url, role: 'tiu_api', max: config.TIU_API_CONNECTIONS, walls }),
  ]);
  const waiting = () => walled.pool.waitingCount + engine.pool.waitingCount;
  return { walls, engine, db: walledDatabase(walls, { engine, walled }), waiting };
}

type Counted = { engine: OrmDatabase; clock: () => number; submits: () => number; reads: () => number };

/** What keeps one client from the room of the others. */
function createBounds(config: Config, { engine, clock, ...waiting }: Counted) {
  const counted = { db: engine, now: clock };
  return {
    pressure: createPressure(config, waiting),
    limits: createLimits(counted, config),
    quotas: createQuotas(counted, config),
  };
}

const neededMigrations = (): string[] =>
  readdirSync(new URL('../../migrations', import.meta.url))
    .filter((file) => /^Migration\d+_\w+\.[jt]s$/.test(file))
    .map((file) => file.replace(/\.[jt]s$/, ''));
