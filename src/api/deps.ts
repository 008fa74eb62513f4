import type { ClosingCheck } from '../db/closingCheck.ts';
import type { Commands } from '../db/commands.ts';
import type { OrmDatabase } from '../db/database.ts';
import type { Fires } from '../db/fires.ts';
import type { Forks } from '../db/forks.ts';
import type { Plans } from '../db/repositories/plans.ts';
import type { Submits } from '../db/submit.ts';
import type { Walls } from '../db/wall.ts';
import type { AuditKeys } from '../providers/auditKeys/auditKeys.ts';
import type { ObjectStore } from '../providers/objectStore/objectStore.ts';
import type { Passwords } from '../providers/password/passwords.ts';
import type { PayloadCipher } from '../providers/payloadCipher/payloadCipher.ts';
import type { SecretCipher } from '../providers/secretCipher/secretCipher.ts';
import type { Tokens } from '../providers/tokens/tokens.ts';
import type { SignIn } from '../providers/signIn/signIn.ts';
import type { Config } from '../runtime/config.ts';
import type { SignInProviderConfig } from '../runtime/signInProviders.ts';
import type { Authenticate } from './auth/authenticate.ts';
import type { Watch } from './auth/watch.ts';
import type { TrustedProxies } from './auth/origin.ts';
import type { Refusals } from './auth/refusals.ts';
import type { AccountMail } from './auth/mail.ts';
import type { Definitions } from './definitions.ts';
import type { Pressure } from './http/pressure.ts';
import type { Limits } from './http/rateLimit.ts';
import type { ApiMetrics } from './metrics.ts';
import type { Log } from './log.ts';
import type { Quotas } from './quota/quotas.ts';
import type { Closings } from './realtime/closings.ts';
import type { Rooms } from './realtime/rooms.ts';
import type { Untouched } from './realtime/untouched.ts';
import type { Workspaces } from './realtime/workspaces.ts';

/** Built by createDeps alone. */
export type Deps = {
  config: Config;
  /** Inside of a request of a workspace its rows alone, by row security; elsewhere the engine's view. */
  db: OrmDatabase;
  /** What sees all workspaces wherever it is used: for what is of the installation. */
  engine: OrmDatabase;
  walls: Walls;
  plans: Plans;
  definitions: Definitions;
  objects: ObjectStore;
  fires: Fires;
  /** Of what stands in Temporal. */
  payloadCipher: PayloadCipher;
  /** Of the secrets of workspaces. */
  secretCipher: SecretCipher;
  /** Access tokens of people who have signed in. */
  tokens: Tokens;
  passwords: Passwords;
  /** Passwords that attackers try first. */
  commonPasswords: ReadonlySet<string>;
  /** Mails of accounts. */
  mail: AccountMail;
  /** Issuers that people may sign in with. */
  signIn: SignIn<SignInProviderConfig>;
  submitRun: Submits['submitRun'];
  /** Which workspaces start nothing new. */
  closed: ClosingCheck;
  /** Tells workers that these runs have something to look at. */
  poke: (runs: readonly string[]) => void;
  forkRun: Forks['forkRun'];
  command: Commands['command'];
  /** Tells workers that there is a bulk job. */
  tellBulk: Commands['tellBulk'];
  pressure: Pressure;
  limits: Limits;
  quotas: Quotas;
  /** Open sockets of this process; how many of a workspace. */
  sockets: { countOf: (workspace: string) => number };
  proxies: TrustedProxies;
  authenticate: Authenticate;
  /** Who is here for long is told when they may no longer. */
  watch: Watch['watch'];
  refusals: Refusals;
  auditKeys: AuditKeys;
  closings: Closings;
  untouched: Untouched;
  /** Somebody waits for this run, which was queued a moment ago. */
  awaited: (run: string) => void;
  rooms: Rooms;
  workspaces: Workspaces;
  metrics: ApiMetrics;
  log: Log;
  /** ms since the epoch */
  clock: () => number;
  /** The OpenAPI document. */
  document: () => object;
  /** Names of the migrations this build needs. */
  migrations: readonly string[];
};
