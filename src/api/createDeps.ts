import { readdirSync } from 'node:fs';
import { claimObject } from '../db/artifacts.ts';
import { createCommands } from '../db/commands.ts';
import { openDatabase } from '../db/database.ts';
import { createFires } from '../db/fires.ts';
import { createForks } from '../db/forks.ts';
import { createPlans } from '../db/repositories/plans.ts';
import { createSubmits } from '../db/submit.ts';
import { createWalls, walledDatabase } from '../db/wall.ts';
import { openAuditKeys } from '../providers/auditKeys/auditKeys.ts';
import { createMailer, type Mailer } from '../providers/mail/mailer.ts';
import { createOutbox } from '../providers/mail/outbox.ts';
import { createObjectStore } from '../providers/objectStore/objectStore.ts';
import { readCommonPasswords } from '../providers/password/commonPasswords.ts';
import { createPasswords } from '../providers/password/passwords.ts';
import { openPayloadCipher } from '../providers/payloadCipher/payloadKeys.ts';
import { createSignIn } from '../providers/signIn/signIn.ts';
import { openSecretCipher } from '../providers/secretCipher/secretCipher.ts';
import type { Config } from '../runtime/config.ts';
import { readSignInProviders } from '../runtime/signInProviders.ts';
import { openIdentity } from './auth/identity.ts';
import { createAccountMail } from './auth/mail.ts';
import { readProxies } from './auth/origin.ts';
import { createRefusals } from './auth/refusals.ts';
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
  const signIn = createSignIn(readSignInProviders(config.TIU_SIGN_IN_FILE), { allow: config.TIU_HTTP_ALLOW, clock });
  const url = config.DATABASE_URL;
  // leaves room for the connections of feed, submits, forks, commands and notices
  const walls = createWalls();
  const [engine, walled] = await Promise.all([
    openDatabase({ url, role: 'tiu_engine', max: config.TIU_ENGINE_CONNECTIONS }),
    openDatabase({ url, role: 'tiu_api', max: config.TIU_API_CONNECTIONS, walls }),
  ]);
  const db = walledDatabase(walls, { engine, walled });
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
  const refusals = createRefusals({ ...base, db: engine }, config.TIU_AUDIT_REFUSALS);
  const pressure = createPressure(config, { submits: submits.waiting, reads: () => walled.pool.waitingCount + engine.pool.waitingCount });
  const { close: closeIdentity, ...identity } = await openIdentity(config, { db: engine, feed, clock });
  const limits = createLimits({ db: engine, now: clock }, config);
  const quotas = createQuotas({ db: engine, now: clock }, config);
  const submitRun = holdingRoom({ db: engine, quotas }, submits.submitRun);
  const mail = createAccountMail({ mailer: mailerOf(config), log, maxQueued: config.TIU_MAX_QUEUED_MAILS });
  const deps: Deps = {
    ...base,
    config,
    engine,
    walls,
    plans,
    definitions: createDefinitions(),
    objects: createObjectStore({
      root: config.TIU_OBJECTS,
      maxBytes: config.TIU_MAX_UPLOAD,
      claim: (workspace, object) => claimObject(db, workspace, object),
    }),
    fires: createFires({
      db,
      plans,
      submitRun,
      defaults: { maxInputBytes: config.TIU_MAX_INPUT, mode: config.TIU_MODE },
    }),
    payloadCipher: openPayloadCipher(config),
    secretCipher: openSecretCipher(config),
    signIn,
    passwords: createPasswords(passwordSettings(config), (what) => {
      base.metrics.passwordHashes.inc({ what });
    }),
    mail,
    commonPasswords: readCommonPasswords(),
    submitRun,
    forkRun: holdingRoom({ db: engine, quotas }, forks.forkRun),
    pressure,
    limits,
    quotas,
    sockets: { countOf: () => 0 },
    proxies: readProxies(config.TIU_TRUSTED_PROXIES, config.TIU_PROXY_HEADER),
    command: commands.command,
    poke: commands.poke,
    ...identity,
    refusals,
    auditKeys: openAuditKeys(config),
    closings: createClosings({ db: engine, feed, log }),
    untouched,
    awaited: createAwaited({ untouched, tell: submits.tellAwaited }),
    rooms: createRooms({ db: engine, plans, feed, log }),
    workspaces: createWorkspaces({ db: engine, feed, log, config }),
    document: openapi(routes),
    migrations: neededMigrations(),
  };
  const close = async () => {
    pressure.close();
    closeIdentity();
    await Promise.all([feed.close(), mail.close(), signIn.close()]);
    await refusals.close();
    await Promise.all([submits.close(), forks.close(), commands.close()]);
    await Promise.all([limits.close().catch(() => undefined), quotas.close()]);
    await db.close();
  };
  return { deps, close };
}

/** A mail server, else the folder of the embedded stack, else none. */
function mailerOf(config: Config): Mailer | undefined {
  const { TIU_SMTP_URL: url, TIU_MAIL_FROM: from, TIU_MAIL_OUTBOX: folder } = config;
  if (url !== undefined) return createMailer({ url, from });
  return folder === undefined ? undefined : createOutbox({ folder, from: from ?? 'TIU <tiu@localhost>', clock: () => Date.now() });
}

const passwordSettings = (config: Config) => ({
  memoryKiB: config.TIU_PASSWORD_MEMORY,
  passes: config.TIU_PASSWORD_PASSES,
  lanes: config.TIU_PASSWORD_LANES,
  concurrent: config.TIU_MAX_HASHES,
  queued: config.TIU_MAX_QUEUED_HASHES,
});

const neededMigrations = (): string[] =>
  readdirSync(new URL('../../migrations', import.meta.url))
    .filter((file) => /^Migration\d+_\w+\.[jt]s$/.test(file))
    .map((file) => file.replace(/\.[jt]s$/, ''));
