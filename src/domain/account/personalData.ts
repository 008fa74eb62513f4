/** Why something that may name a person, or that they have written, stays when their data go. */
const KEPT_BECAUSE = {
  principal:
    'The id of the account, which says who did or got something. It stays so that this can be told; nothing leads from it to a person any more.',
  work: 'Belongs to the workspace: what its members told the product to do, and what came of it. It goes with the retention of the workspace, or with the workspace.',
  audit:
    'The audit is a chain that only grows. It names the id of the account, the network that a request came from and, of sign-ins, the browser; it is cut after TIU_AUDIT_DAYS.',
} as const;
type Reason = keyof typeof KEPT_BECAUSE;

/** Columns, by spaces. `neither`: what holds no id of a person and nothing that one has written. */
type Said = { removed?: string; kept?: Partial<Record<Reason, string>>; neither?: string };

/**
 * Every column of the database that could hold the id of a person or a text of theirs, and what becomes of it when their data are
 * erased. A test compares it with the catalogue of the database, so that no new column is forgotten.
 */
export const PERSONAL_DATA: Readonly<Record<string, Said>> = {
  account: {
    removed: 'name name_key email email_key full_name password bio avatar_url preferences settings',
    kept: { principal: 'id created_by' },
    neither: 'workspace status',
  },
  account_identity: { removed: 'issuer subject account provider email', neither: 'id workspace' },
  api_key: { removed: 'name', kept: { principal: 'id account' }, neither: 'workspace hash scopes' },
  approval_notice: { neither: 'run workspace' },
  artifact: { kept: { work: 'name', principal: 'created_by' }, neither: 'workspace sha256 media_type' },
  artifact_ref: { kept: { principal: 'holder' }, neither: 'workspace sha256 run' },
  audit: { kept: { audit: 'actor subject data before after address' }, neither: 'id workspace action result code request' },
  audit_checkpoint: { neither: 'kind workspace hash key signature' },
  audit_head: { neither: 'workspace hash id key signature' },
  audit_seal: { neither: 'workspace id hash' },
  auth_try: { removed: 'subject', neither: 'workspace' },
  bulk: { kept: { principal: 'created_by', work: 'reason filter' }, neither: 'id workspace type status cursor refused' },
  command: { kept: { principal: 'actor', work: 'payload' }, neither: 'run workspace type' },
  definition: {
    kept: { work: 'name version title source', principal: 'created_by' },
    neither: 'workspace hash media_type plan',
  },
  device_grant: {
    removed: 'device_hash user_hash account session device ip user_agent',
    neither: 'workspace decision acts',
  },
  effect: { kept: { work: 'intent outcome' }, neither: 'run workspace' },
  event: { kept: { work: 'id name key payload', principal: 'sent_by' }, neither: 'workspace' },
  expired_run: { neither: 'run workspace' },
  hook: {
    kept: { work: 'name event_name event_key secret', principal: 'created_by updated_by' },
    neither: 'workspace id scheme',
  },
  hook_trigger: { kept: { work: 'hook definition input', principal: 'created_by' }, neither: 'workspace project' },
  idempotency: { removed: 'principal key response', neither: 'workspace hash run' },
  invitation: { removed: 'email', kept: { principal: 'created_by account' }, neither: 'workspace id role projects outcome' },
  known_device: { removed: 'hash account', neither: 'workspace' },
  label: { kept: { work: 'name value' }, neither: 'workspace run' },
  lease: { kept: { work: 'key' }, neither: 'workspace holder run' },
  limit_bucket: { kept: { work: 'key' }, neither: 'workspace' },
  mail: { removed: 'id account sealed', neither: 'workspace key_id' },
  maintenance_count: { neither: 'workspace run key name' },
  membership: { removed: 'account', kept: { principal: 'granted_by' }, neither: 'workspace role' },
  mikro_orm_migrations: { neither: 'name' },
  one_time: { removed: 'hash account data', neither: 'workspace kind' },
  passkey: { removed: 'id account public_key transports name', neither: 'workspace' },
  person_request: { kept: { principal: 'account asked_by' }, neither: 'id workspace kind run sha256' },
  plan: { kept: { work: 'body' }, neither: 'hash' },
  project: { kept: { work: 'name title', principal: 'created_by' }, neither: 'workspace id' },
  project_member: { removed: 'account', kept: { principal: 'granted_by' }, neither: 'workspace project role' },
  queue_cursor: { kept: { work: 'key' }, neither: 'workspace after' },
  rate_bucket: { removed: 'key', neither: 'workspace class' },
  recovery_code: { removed: 'hash account', neither: 'workspace' },
  refresh_token: { removed: 'hash session successor', neither: 'workspace' },
  role: { kept: { work: 'name title', principal: 'created_by' }, neither: 'workspace actions' },
  run: {
    kept: { work: 'definition input labels ckey', principal: 'created_by' },
    neither: 'id workspace project plan parent forked_from mode conflict',
  },
  run_event: { kept: { work: 'data' }, neither: 'run workspace type' },
  run_output: { kept: { work: 'output' }, neither: 'run workspace output_ref' },
  run_state: { kept: { work: 'reason failure ckey' }, neither: 'run workspace status intent owner decided' },
  schedule: {
    kept: { work: 'name definition definition_version spec compiled input labels note', principal: 'created_by' },
    neither: 'id workspace project priority overlap seen',
  },
  schedule_fire: { kept: { principal: 'by', work: 'failure' }, neither: 'schedule workspace kind status overlap run' },
  secret: { kept: { work: 'name sealed', principal: 'created_by updated_by' }, neither: 'workspace key_id' },
  secret_past: { kept: { work: 'name sealed' }, neither: 'workspace key_id' },
  session: { removed: 'id account device ip user_agent ended_by issuer issuer_sid', neither: 'workspace method end_reason' },
  slice: { neither: 'run workspace' },
  socket_ticket: { removed: 'hash session', neither: 'workspace' },
  task: { kept: { work: 'output failure' }, neither: 'run workspace status token output_ref' },
  totp: { removed: 'account sealed', neither: 'workspace key_id' },
  unshown: { neither: 'run workspace' },
  untold: { neither: 'run workspace' },
  usage_delta: { neither: 'workspace name' },
  wait: {
    kept: { work: 'decision failure limit_key data output event_name event_key untaken' },
    neither: 'run workspace kind child',
  },
  worker: { neither: 'id workspace name version data' },
  workspace: { removed: 'transfer_to transfer_by', kept: { work: 'name', principal: 'created_by' }, neither: 'id closing_run' },
  workspace_quota: { kept: { principal: 'set_by' }, neither: 'workspace name' },
  workspace_usage: { neither: 'workspace name' },
};

/** What stays of a person, by table, and why. */
export const keptOfPerson = (): { table: string; columns: string[]; why: string }[] =>
  Object.entries(PERSONAL_DATA).flatMap(([table, { kept = {} }]) =>
    Object.entries(kept).map(([reason, columns]) => ({ table, columns: columns.split(' '), why: KEPT_BECAUSE[reason as Reason] })),
  );
