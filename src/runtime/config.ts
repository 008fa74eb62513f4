import fs from 'node:fs';
import { z } from 'zod';
import { isProduction, refuseWeakProduction } from './production.ts';

const size = (fallback: number) => z.coerce.number().int().min(1).default(fallback);

const rate = (fallback: string, what: string) =>
  z
    .string()
    .default(fallback)
    .describe(
      `${what}: user=600/60,network=6000/60 = so many in so many seconds of one user, key, account or network; who is not named has no limit`,
    );

/** Every setting, read once at start. Sizes in bytes, times in ms. The docstring of a setting is its documentation. */
const schema = z.object({
  TIU_ENV: z
    .string()
    .optional()
    .describe('`production`: refuses to start with secrets that are defaults, samples or weak; without it NODE_ENV says so'),
  DATABASE_URL: z.string().describe('PostgreSQL 15 or newer'),
  TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233').describe('host:port of the Temporal frontend'),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  TIU_TASK_QUEUE: z.string().default('tiu'),
  TIU_TEMPORAL_UI: z.string().default('http://127.0.0.1:8233').describe('Base address of the Temporal UI, for links'),
  TIU_PAYLOAD_KEYS: z
    .string()
    .optional()
    .describe('Keys for what enters Temporal, id:base64 of 32 bytes each, by commas; the first encrypts, all decrypt; unset = in the open'),
  TIU_PAYLOAD_KEYS_FILE: z.string().optional().describe('File with these keys, one a line; TIU_PAYLOAD_KEYS goes before it'),
  TIU_SECRET_KEYS: z
    .string()
    .optional()
    .describe('Keys for secrets, id:base64 of 32 bytes each, by commas; the first encrypts, all decrypt; unset = no secrets'),
  TIU_SECRET_KEYS_FILE: z.string().optional().describe('File with these keys, one a line; TIU_SECRET_KEYS goes before it'),
  TIU_MIN_SECRET: size(8).describe('Characters of a secret; shorter ones would be taken out of every output that happens to hold them'),
  TIU_MAX_SECRET: z.coerce
    .number()
    .int()
    .min(1)
    .max(16 * 2 ** 10)
    .default(8 * 2 ** 10)
    .describe('One secret'),
  TIU_MAX_SECRETS: size(1_000).describe('Secrets of a workspace'),
  TIU_TOKEN_KEYS: z
    .string()
    .optional()
    .describe(
      'Keys that sign access tokens, id:base64 of 32 bytes each, by commas; the first signs, all verify; unset = nobody can sign in',
    ),
  TIU_TOKEN_KEYS_FILE: z.string().optional().describe('File with these keys, one a line; TIU_TOKEN_KEYS goes before it'),
  TIU_TOKEN_ISSUER: z.string().optional().describe('Issuer that access tokens name; unset = TIU_PUBLIC_URL, or urn:tiu without one'),
  TIU_TOKEN_AUDIENCE: z.string().default('tiu').describe('Audience of access tokens'),
  TIU_ACCESS_TOKEN_TTL: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(900_000)
    .describe('How long an access token is good for; the session behind it may end before'),
  TIU_SESSION_IDLE: size(12 * 3_600_000).describe('How long a session lives without a request'),
  TIU_SESSION_LIFE: size(24 * 3_600_000).describe('How long a session lives at most'),
  TIU_SESSION_REMEMBER_IDLE: size(30 * 86_400_000).describe('The same of a session that is to be remembered: without a request'),
  TIU_SESSION_REMEMBER_LIFE: size(90 * 86_400_000).describe('The same of a session that is to be remembered: at most'),
  TIU_MAX_SESSIONS: z.coerce.number().int().min(1).max(1_000).default(20).describe('Sessions of a person; one more ends the oldest'),
  TIU_REFRESH_GRACE: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(10_000)
    .describe('How long a refresh token that was used is answered again as the first time; later use ends its session'),
  TIU_SOCKET_TICKET_TTL: size(30_000).describe('How long a socket ticket waits for its one use'),
  TIU_SIGN_IN_FILE: z
    .string()
    .optional()
    .describe('File with the issuers that people may sign in with, a JSON list (docs/security.md); unset = none'),
  TIU_FRESH: size(900_000).describe(
    'How long after proving who they are somebody may do what a stolen session must not be enough for, such as making a key',
  ),
  TIU_CORS_ORIGINS: z
    .string()
    .default('')
    .describe('Origins, by commas, of pages elsewhere that may use the API and its sockets, as their user; exact, no wildcard'),
  TIU_CODEC_ORIGINS: z.string().default('').describe('Origins, by commas, of the Temporal UIs that may ask the codec server'),
  TIU_CODEC_TOKEN: z
    .string()
    .regex(/^[\w-]{22,}$/)
    .optional()
    .describe('Also opens the codec server at /api/v1/codec/TOKEN, for a Temporal UI without sign-in; unset = API keys alone'),
  TIU_HOST: z.string().default('127.0.0.1').describe('Address that the API listens on'),
  TIU_PORT: z.coerce.number().int().min(0).max(65_535).default(8080).describe('0 = any free port'),
  TIU_PUBLIC_URL: z.string().optional().describe('Address of the API as clients see it, for links'),
  TIU_OBJECTS: z.string().default('.tiu/objects').describe('Folder of the object store'),
  TIU_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  TIU_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional().describe('Port of the worker for GET /metrics; unset = none'),
  TIU_MODE: z.enum(['standard', 'express']).default('standard').describe('Of runs whose definition and request do not say'),
  TIU_API_CONNECTIONS: size(8).describe('Of an API process for requests, each of which sees the rows of its workspace alone'),
  TIU_ENGINE_CONNECTIONS: size(4).describe('Of an API process for what is of no workspace: who somebody is, rate limits, what is pushed'),
  TIU_WORKER_CONNECTIONS: size(6),
  TIU_MAX_BODY: size(8 * 2 ** 20).describe('Request bodies other than uploads'),
  TIU_MAX_UPLOAD: size(256 * 2 ** 20).describe('One uploaded artifact'),
  TIU_MAX_INPUT: size(1 * 2 ** 20).describe('Input of a run, as JSON'),
  TIU_MAX_CONNECTIONS: size(10_000).describe('Open connections of an API process, sockets among them; more are told to come back'),
  TIU_MAX_SOCKETS: size(5_000).describe('Sockets of an API process'),
  TIU_MAX_SOCKETS_PER_KEY: size(2_000).describe('Sockets of one API key in an API process'),
  TIU_MAX_QUEUED_SUBMITS: size(1_000).describe('Submits that wait for the database in an API process; more are refused with 503'),
  TIU_MAX_INFLIGHT_PER_KEY: size(500).describe('Submits of one API key under way in an API process; more are refused with 429'),
  TIU_MAX_QUEUED_READS: size(1_000).describe('Reads that wait for a connection in an API process; more are refused with 503'),
  TIU_MAX_BODIES: size(64 * 2 ** 20).describe('Bytes of request bodies in the memory of an API process at once; more are refused with 503'),
  TIU_TRUSTED_PROXIES: z
    .string()
    .default('')
    .describe(
      'Proxies, as CIDR list, whose word about the address of a client is believed; empty = none, the other end of a connection is the client',
    ),
  TIU_PROXY_HEADER: z
    .enum(['x-forwarded-for', 'forwarded'])
    .default('x-forwarded-for')
    .describe('The header in which trusted proxies tell it; the other one is not read'),
  TIU_RATE_READ: rate('user=6000/60', 'Reading requests'),
  TIU_RATE_WRITE: rate('user=1200/60', 'Requests that change something; those of keys are bounded by how busy the process is'),
  TIU_RATE_HEAVY: rate('user=120/60,key=1200/60', 'Reports and what else reads much'),
  TIU_RATE_BATCH: rate('user=120/60,key=6000/60', 'Batches, bulk jobs and backfills'),
  TIU_RATE_UPLOAD: rate('user=600/60,key=6000/60', 'Uploads of artifacts'),
  TIU_RATE_DELIVERY: rate('network=12000/60', 'Deliveries to hooks'),
  TIU_RATE_PUBLIC: rate('network=12000/60', 'Requests for which nobody has to sign in: documents, the codec under its token'),
  TIU_RATE_AUTH: rate('network=1200/60', 'Requests about signing in, before anything is done for them'),
  TIU_RATE_LOGIN: rate('account=10/900,network=300/900', 'Tries of passwords'),
  TIU_RATE_CODE: rate('account=10/900,network=300/900', 'Tries of codes: second factors, recovery, devices'),
  TIU_RATE_RESET: rate('account=5/3600,network=60/3600', 'Mails that anybody can have sent: resets, verifications, invitations'),
  TIU_QUOTA_OPEN_RUNS: size(1_000_000).describe(
    'Open runs of a workspace, where its operators have set no other; more are refused with quota_exceeded',
  ),
  TIU_QUOTA_ARTIFACT_BYTES: size(1024 * 2 ** 30).describe(
    'Bytes of artifacts and stored outputs of a workspace; more uploads are refused, outputs are not',
  ),
  TIU_QUOTA_SOCKETS: size(5_000).describe('Sockets of a workspace in an API process'),
  TIU_QUOTA_API_KEYS: size(1_000).describe('API keys of a workspace that are not revoked'),
  TIU_QUOTA_MEMBERS: size(10_000).describe('Members of a workspace'),
  TIU_MAX_EVENT_LOOP_DELAY: size(500).describe(
    'Mean delay of the event loop of an API process, ms, above which requests are refused with 503; also how long one may wait to be begun',
  ),
  TIU_HTTP_ALLOW: z.string().default('').describe('Private addresses that http tasks may call, as CIDR list or host:port list'),
  TIU_HTTP_MAX_BODY: size(100 * 2 ** 20).describe('Body of one answer to an http task'),
  TIU_CIRCUIT_FAILURES: z.coerce
    .number()
    .int()
    .min(0)
    .default(10)
    .describe(
      'Faults of a host in a row (no connection, no answer in time, 5xx), for one workspace in one worker, after which http and notify tasks fail fast; 0 = never',
    ),
  TIU_CIRCUIT_OPEN: size(30_000).describe('How long they do; then one attempt may probe the host'),
  TIU_MAX_CIRCUITS: size(10_000).describe('Hosts of workspaces that a worker keeps count of'),
  TIU_SMTP_URL: z.string().optional().describe('Mail server, smtp: or smtps://user:password@host:port; unset = no mail'),
  TIU_MAIL_FROM: z.string().optional().describe('Sender of mails, an address or Name <address>'),
  TIU_MAIL_OUTBOX: z.string().optional().describe('Without TIU_SMTP_URL: folder into which mails of accounts are written, a file each'),
  TIU_MAX_QUEUED_MAILS: size(1_000).describe('Mails of accounts that wait to be handed over; more are refused with 503'),
  TIU_MAIL_TTL: size(86_400_000).describe('For so long a mail of an account is tried, ms; one with a link no longer than the link is good'),
  TIU_REGISTRATION: z
    .enum(['open', 'invitation', 'closed'])
    .default('invitation')
    .describe('Who may become a person of this installation: anybody with a mail address, who is invited, nobody'),
  TIU_PASSWORD_MEMORY: z.coerce
    .number()
    .int()
    .min(8)
    .max(4 * 2 ** 20)
    .default(19_456)
    .describe('Memory of one hash of a password (Argon2id), KiB; older hashes that cost less are replaced at sign-in'),
  TIU_PASSWORD_PASSES: z.coerce.number().int().min(1).max(100).default(2).describe('Passes of one hash over its memory'),
  TIU_PASSWORD_LANES: z.coerce.number().int().min(1).max(16).default(1).describe('Lanes of one hash'),
  TIU_MAX_HASHES: z.coerce.number().int().min(1).max(64).default(2).describe('Passwords that an API process hashes at once'),
  TIU_MAX_QUEUED_HASHES: z.coerce
    .number()
    .int()
    .min(0)
    .default(100)
    .describe('Passwords that wait to be hashed in an API process; more are refused with 503'),
  TIU_LOGIN_TRIES: size(10).describe('Failures in a row for one name, address or device until each further try has to wait'),
  TIU_LOGIN_DELAY: size(1_000).describe('First wait; each one doubles it'),
  TIU_LOGIN_MAX_DELAY: size(900_000).describe('Longest wait'),
  TIU_LOGIN_MAX_FAILURES: z.coerce
    .number()
    .int()
    .min(2)
    .max(100)
    .default(100)
    .describe(
      'Failures in a row until an account cannot be opened by its password before that is reset; name and address have half of it each',
    ),
  TIU_DEVICE_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(3_650)
    .default(90)
    .describe('Days since its last sign-in that a device is known: failures of strangers do not hold it up'),
  TIU_RESET_TTL: z.coerce.number().int().min(1).max(600_000).default(600_000).describe('How long a link to reset a password is good'),
  TIU_VERIFY_TTL: size(86_400_000).describe('How long a link to verify a mail address is good'),
  TIU_MFA_TTL: z.coerce.number().int().min(1).max(600_000).default(300_000).describe('How long the second step of a sign-in may take'),
  TIU_REQUIRE_MFA: z
    .enum(['off', 'operators', 'all'])
    .default('off')
    .describe('Of whom a second factor is required: nobody, members of the system workspace, everybody; workspaces may besides'),
  TIU_MAX_PASSKEYS: size(20).describe('Passkeys of an account'),
  TIU_WEBHOOK_KEYS: z
    .string()
    .default('')
    .describe('Keys that sign webhooks, id:base64 of 24 to 64 bytes each, by commas; all of them sign; empty = no webhooks'),
  TIU_NOTICE_TRIES: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(8)
    .describe('How often a notice of an approval, or a reminder of one, is tried; then it is given up, which the events of the run tell'),
  TIU_NOTICE_DELAY: size(10_000).describe('From a notice that could not be sent to the next try; twice as long each time, an hour at most'),
  TIU_COMMANDS: z.string().default('').describe('Programs that command tasks may run, name=/absolute/path by commas; empty = none'),
  TIU_COMMAND_PATHS: z
    .string()
    .default('')
    .describe('Files and folders that programs of command tasks see besides the system, by commas; :rw behind one = they write there'),
  TIU_MAX_COMMANDS: size(4).describe('Programs of command tasks at work at once in a worker; more wait for a place'),
  TIU_COMMAND_MEMORY: z.coerce
    .number()
    .int()
    .min(16 * 2 ** 20)
    .default(512 * 2 ** 20)
    .describe('Address space of each process of a command task'),
  TIU_COMMAND_KEEP: size(1 * 2 ** 20).describe('Of each output of a command task what is kept; the rest is dropped'),
  TIU_COMMAND_MAX_OUTPUT: size(64 * 2 ** 20).describe('Both outputs of a command task together; more ends it'),
  TIU_COMMAND_GRACE: size(500).describe('Between SIGTERM and SIGKILL of a command task that has to end'),
  TIU_ACTIVITY_QUEUES: z
    .string()
    .default('*')
    .describe('Task queues whose activities activity tasks may call, by commas; * at the end = all that begin so; never TIU_TASK_QUEUE'),
  TIU_ACTIVITY_START_TIMEOUT: size(300_000).describe('How long an activity of a user waits for a worker to take it, and before each retry'),
  TIU_MAX_ACTIVITY_ARGS: z.coerce
    .number()
    .int()
    .min(2)
    .max(1 * 2 ** 20)
    .default(256 * 2 ** 10)
    .describe('Arguments of an activity of a user, as JSON'),
  TIU_MAX_OUTPUT: size(100 * 2 ** 20).describe('Output of one task or run, as JSON'),
  TIU_MAX_MAPPED_CHILDREN: size(1_000).describe('Items of a mapped task that starts a run for each; more fail it with too_many_items'),
  TIU_MAX_UNFINISHED_STARTS: size(16).describe('Runs a worker has started whose first workflow task has not ended'),
  TIU_MAX_LATE_STARTS: size(10_000).describe(
    'Ended runs of a worker whose executions are still to be started in Temporal; more hold up the next runs',
  ),
  TIU_MAX_EFFECTS: size(200).describe('Effects at work at once in a worker; more wait for a place'),
  TIU_MAX_RUNS: size(1_000).describe('Run slots of a worker process: begun runs that it carries and that do more than wait'),
  TIU_MAX_POKED: size(60).describe(
    'Runs that are told through Temporal at once that they are to end; the next are told when these have read it',
  ),
  TIU_CLOSED_DELAY: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(25)
    .describe('From the end of a run to the look for queued runs and parents that had waited for it: many ends share one look'),
  TIU_PRIORITY_AGE: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_200_000)
    .default(60_000)
    .describe('How long a queued run waits until it counts as one of the next higher priority'),
  TIU_WORKFLOW_TASK_TIMEOUT: size(2_000).describe('Of first starts: how soon a killed worker is noticed'),
  TIU_MAX_CACHED_WORKFLOWS: size(500),
  TIU_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(0)
    .max(36_500)
    .default(30)
    .describe('Days that closed runs are kept, unless their workspace states others; 0 = for ever'),
  TIU_EVENT_DAYS: z.coerce.number().int().min(1).max(3_650).default(7).describe('Days that an event is kept for somebody to wait for it'),
  TIU_MAX_HOOKS: size(100).describe('Hooks of a workspace'),
  TIU_MAX_DELIVERY: size(1 * 2 ** 20).describe('Body of one delivery to a hook'),
  TIU_HOOK_OVERLAP: z.coerce
    .number()
    .int()
    .min(0)
    .max(30 * 86_400_000)
    .default(86_400_000)
    .describe('How long hooks accept what is signed with the former value of their secret, once another was set; 0 = not at all'),
  TIU_AUDIT_KEYS: z
    .string()
    .optional()
    .describe(
      'Keys that sign the audit, id:base64 of 32 bytes (an Ed25519 seed) each, by commas; the first signs, all verify; unset = unsigned',
    ),
  TIU_AUDIT_KEYS_FILE: z.string().optional().describe('File with these keys, one a line; TIU_AUDIT_KEYS goes before it'),
  TIU_AUDIT_CHECKPOINT: size(3_600_000).describe(
    'How often the signed end of the audit is kept, in the database and in the log of the worker',
  ),
  TIU_AUDIT_REFUSALS: size(600).describe(
    'Audit rows of refusals that an API process writes in a minute, at most; more are counted in one row',
  ),
  TIU_AUDIT_SCAN: size(20_000).describe(
    'Audit rows that one page of a list looks through; a page may hold fewer than asked for, and there may be more',
  ),
  TIU_AUDIT_DAYS: z.coerce.number().int().min(0).max(36_500).default(365).describe('Days that audit rows are kept; 0 = for ever'),
  TIU_OBJECTS_GRACE: size(7 * 86_400_000).describe('How long an uploaded artifact or object that nothing refers to is kept'),
  TIU_ESTIMATE_RUNS: z.coerce
    .number()
    .int()
    .min(3)
    .max(200)
    .default(20)
    .describe('Earlier runs that an estimate of the end of a run rests on'),
  TIU_ESTIMATE_TASKS: size(20_000).describe(
    'Tasks of earlier runs that are read for an estimate; of large definitions fewer runs, at least 3',
  ),
  TIU_REPORT_MAX_DAYS: z.coerce.number().int().min(1).max(3_660).default(92).describe('Days that one report may span'),
  TIU_REPORT_MAX_RUNS: size(100_000).describe('Runs that one report counts, the newest; more are left out and said to be'),
  TIU_REPORT_MAX_TASKS: size(100_000).describe('Tasks that one report counts, of the newest runs; more are left out and said to be'),
  TIU_REPORT_MAX_ROWS: size(1_000).describe('Rows of one report'),
  TIU_MAX_TASK_BATCH: size(10).describe('Tasks that one request may create'),
  TIU_MAX_RUN_BATCH: size(1_000).describe('Runs that one request may start'),
  TIU_MAX_BULK_COUNT: size(10_000).describe('Runs that are counted for a bulk job; of more it says that there are more'),
  TIU_MAX_BULK_JOBS: size(10).describe('Bulk jobs of a workspace under way at once'),
  TIU_BULK_RATE: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('Runs that bulk jobs give their command to in a second, at most; they take half of the time of one connection at most'),
  TIU_WORKSPACES: z
    .enum(['operators', 'anybody'])
    .default('operators')
    .describe('Who may make workspaces: members of the system workspace with the role admin, or everybody who has signed in'),
  TIU_MAX_WORKSPACES: size(20).describe('Workspaces of which one person, who is no operator, may be an owner when making another'),
  TIU_INVITATION_TTL: size(7 * 86_400_000).describe('How long an invitation can be accepted that says nothing else'),
  TIU_MAX_INVITATION_TTL: size(30 * 86_400_000).describe('The longest that an invitation may say'),
  TIU_MAX_INVITATIONS: size(200).describe('Open invitations of a workspace'),
  TIU_MAX_ROLES: size(100).describe("Roles of a workspace's own"),
  TIU_MAX_PROJECTS: size(1_000).describe('Projects of a workspace, archived ones among them'),
  TIU_EXPORT_TTL: size(7 * 86_400_000).describe('How long a person can fetch an export of their data'),
  TIU_CLOSING_GRACE: size(7 * 86_400_000).describe(
    'From the closing of a workspace to the deletion of what is in it; until then it can be taken back',
  ),
  TIU_TRANSFER_TTL: size(7 * 86_400_000).describe('How long the offer of a workspace can be accepted'),
  TIU_SYSTEM: z.stringbool().default(true).describe('Whether this worker starts the runs of the system definitions when they are due'),
  TIU_SHUTDOWN_GRACE: size(8_000),
});

export type Config = Readonly<z.infer<typeof schema>>;

/** @throws Error that names every setting that is wrong, or not fit for production */
export function readConfig(env: Record<string, string | undefined>): Config {
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== '')));
  if (!parsed.success) throw new Error(`configuration: ${parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')}`);
  if (isProduction(env)) refuseWeakProduction(env, keyFiles(env));
  return Object.freeze(parsed.data);
}

/** Contents of the files with keys that settings name; who reads the keys says what is wrong with a file. */
function keyFiles(env: Record<string, string | undefined>): Record<string, string> {
  const files = Object.entries(env).filter(
    ([name, value]) => /^TIU_\w+_KEYS_FILE$/.test(name) && value !== undefined && fs.existsSync(value),
  );
  return Object.fromEntries(files.map(([name, value]) => [name, fs.readFileSync(value ?? '', 'utf8')]));
}
