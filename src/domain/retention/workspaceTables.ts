/** What becomes of the rows of a workspace, in every table that has rows of one, when it is closed. A test compares this with the catalogue of the database. */

/** Go with the run that they are of. */
export const WITH_RUNS = [
  'run',
  'run_state',
  'task',
  'run_event',
  'command',
  'wait',
  'slice',
  'effect',
  'run_output',
  'expired_run',
] as const;

/** Who may act there: they go first, so that nobody does while the rest goes. In an order that references and triggers allow. */
export const WHO_MAY = ['invitation', 'project_member', 'membership', 'api_key', 'role', 'project'] as const;

/** Deleted by the workspace that they name. */
export const BY_WORKSPACE = [
  ...([
    'schedule_fire',
    'schedule',
    'hook_trigger',
    'hook',
    'secret_past',
    'secret',
    'event',
    'bulk',
    'definition',
    'idempotency',
  ] as const),
  ...(['label', 'lease', 'limit_bucket', 'queue_cursor', 'approval_notice', 'unshown', 'untold', 'maintenance_count'] as const),
  ...(['artifact_ref', 'workspace_quota'] as const),
];

/** Sessions are of people: those that acted there act nowhere. */
export const MOVED = ['session'] as const;

export const STAY: Readonly<Record<string, string>> = {
  audit: 'the chain only grows; it is cut after TIU_AUDIT_DAYS',
  audit_seal: 'places of the audit in its chain',
  artifact: 'marked for the collector, which deletes objects with their rows at its next run',
  usage_delta: 'counts what the collector deletes',
  workspace_usage: 'a number that counts what the collector deletes',
};

/** Have rows of the installation alone. */
export const OF_INSTALLATION = [
  ...([
    'account',
    'account_identity',
    'audit_checkpoint',
    'audit_head',
    'auth_try',
    'device_grant',
    'known_device',
    'mail',
    'one_time',
    'passkey',
  ] as const),
  ...(['person_request', 'rate_bucket', 'recovery_code', 'refresh_token', 'socket_ticket', 'totp', 'worker'] as const),
];
