import type { Json } from './json.ts';

type Row = { status: number; title: string; retryable: boolean };

/**
 * Every problem the product reports, by code. `status` is the HTTP status (RFC 9110) when a request meets it;
 * `retryable` says whether the same attempt may succeed later, and is what a task's default retry policy goes by.
 */
export const PROBLEMS = {
  // requests
  malformed_body: { status: 400, title: 'The request body cannot be read', retryable: false },
  malformed_request: { status: 400, title: 'The request is malformed', retryable: false },
  // of a device that asks to be signed in (RFC 8628, 3.5)
  authorization_pending: { status: 400, title: 'Nobody has decided about the device yet', retryable: true },
  slow_down: { status: 400, title: 'Asked too soon: wait five seconds longer from now on', retryable: true },
  access_denied: { status: 400, title: 'The device was refused', retryable: false },
  expired_token: { status: 400, title: 'The code of the device is unknown, was used, or its time is over', retryable: false },
  unauthenticated: { status: 401, title: 'Authentication is required', retryable: false },
  invalid_credentials: { status: 401, title: 'Name, mail address or password is wrong', retryable: false },
  invalid_code: { status: 401, title: 'The code is wrong, or its time is over', retryable: false },
  sign_in_refused: { status: 401, title: 'The sign-in was not accepted', retryable: false },
  delivery_refused: { status: 401, title: 'No hook takes the delivery: its address, signature or time is wrong', retryable: false },
  forbidden: { status: 403, title: 'Not allowed', retryable: false },
  reauthentication_required: { status: 403, title: 'Prove again who you are, and repeat the request', retryable: false },
  second_factor_required: { status: 403, title: 'A second factor is required here: set one up, or show it', retryable: false },
  cross_site_request: { status: 403, title: 'A page of another site may not ask for this', retryable: false },
  registration_closed: { status: 403, title: 'Nobody can register here without an invitation', retryable: false },
  not_found: { status: 404, title: 'Not found', retryable: false },
  method_not_allowed: { status: 405, title: 'Method not allowed', retryable: false },
  not_acceptable: { status: 406, title: 'No representation that the request accepts', retryable: false },
  request_timeout: { status: 408, title: 'The request took too long to arrive', retryable: true },
  idempotency_in_progress: { status: 409, title: 'A request with this idempotency key is still running', retryable: true },
  state_conflict: { status: 409, title: 'The resource is not in a state that allows this', retryable: false },
  schedule_exists: { status: 409, title: 'A schedule of this name exists', retryable: false },
  schedule_of_definition: { status: 409, title: 'The schedule belongs to its definition', retryable: false },
  too_many_schedules: { status: 409, title: 'The workspace has as many schedules as it may', retryable: false },
  sign_in_not_configured: { status: 409, title: 'This installation has no keys for tokens: nobody can sign in', retryable: false },
  secrets_not_configured: { status: 409, title: 'This installation has no keys for secrets', retryable: false },
  identity_not_linked: { status: 409, title: 'An account has this mail address, and the identity is not linked to it', retryable: false },
  identity_taken: { status: 409, title: 'The identity is linked already', retryable: false },
  last_way_in: { status: 409, title: 'Nothing else would let the person in', retryable: false },
  name_taken: { status: 409, title: 'Somebody has this name', retryable: false },
  email_taken: { status: 409, title: 'Somebody has this mail address', retryable: false },
  last_second_factor: { status: 409, title: 'The password is too short to stand without a second factor', retryable: false },
  too_many_passkeys: { status: 409, title: 'The account has as many passkeys as it may', retryable: false },
  too_many_secrets: { status: 409, title: 'The workspace has as many secrets as it may', retryable: false },
  too_many_hooks: { status: 409, title: 'The workspace has as many hooks as it may', retryable: false },
  too_many_triggers: { status: 409, title: 'The hook starts as many workflows as it may', retryable: false },
  last_owner: { status: 409, title: 'A workspace keeps at least one owner', retryable: false },
  workspace_closing: { status: 409, title: 'The workspace is closing: nothing new is started in it', retryable: false },
  workspace_busy: { status: 409, title: 'Runs of the workspace have not ended yet', retryable: true },
  workspace_exists: { status: 409, title: 'A workspace of this name exists', retryable: false },
  project_exists: { status: 409, title: 'A project of this name exists', retryable: false },
  project_archived: { status: 409, title: 'The project is archived', retryable: false },
  role_held: { status: 409, title: 'Somebody has the role, or is invited to it', retryable: false },
  approval_closed: { status: 409, title: 'The approval has been decided, or there is none', retryable: false },
  too_many_bulk_jobs: { status: 409, title: 'The workspace has as many bulk jobs under way as it may', retryable: true },
  run_already_closed: { status: 409, title: 'The run is closed', retryable: false },
  concurrency_limit: { status: 409, title: 'As many runs with this concurrency key are open as may be', retryable: true },
  run_not_finished: { status: 409, title: 'The run has not finished', retryable: true },
  quota_exceeded: { status: 409, title: 'The workspace has as much of this as it may', retryable: true },
  precondition_failed: { status: 412, title: 'The resource has changed', retryable: false },
  payload_too_large: { status: 413, title: 'The request body is too large', retryable: false },
  uri_too_long: { status: 414, title: 'The request target is too long', retryable: false },
  unsupported_media_type: { status: 415, title: 'Media type not supported', retryable: false },
  invalid_request: { status: 422, title: 'The request is not valid', retryable: false },
  link_invalid: { status: 422, title: 'The link is unknown, was used, or its time is over', retryable: false },
  invalid_definition: { status: 422, title: 'The definition is not valid', retryable: false },
  invalid_run_input: { status: 422, title: 'The input does not match the schema of the definition', retryable: false },
  unknown_role: { status: 422, title: 'The workspace has no such role', retryable: false },
  event_mismatch: { status: 422, title: 'The payload is not what those who wait for the event expect', retryable: false },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used with another request', retryable: false },
  idempotency_key_required: { status: 428, title: 'An Idempotency-Key header is required', retryable: false },
  sign_in_disabled: {
    status: 423,
    title: 'Too many failures in a row: this way to sign in is closed until the password is reset',
    retryable: false,
  },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  too_many_tries: { status: 429, title: 'Too many tries', retryable: true },
  headers_too_large: { status: 431, title: 'The request header is too large', retryable: false },
  internal: { status: 500, title: 'Internal error', retryable: true },
  storage_full: { status: 507, title: 'The object store is full', retryable: true },
  sign_in_unavailable: { status: 503, title: 'The sign-in provider does not answer as it should', retryable: true },
  unavailable: { status: 503, title: 'Temporarily unavailable', retryable: true },
  overloaded: { status: 503, title: 'More requests than can be taken on', retryable: true },
  // expressions
  expression_syntax: { status: 422, title: 'The expression cannot be parsed', retryable: false },
  expression_failed: { status: 422, title: 'The expression failed', retryable: false },
  expression_too_costly: { status: 422, title: 'The expression exceeded its step budget', retryable: false },
  number_out_of_range: { status: 422, title: 'An integer beyond 2^53 would be rounded', retryable: false },
  output_too_large: { status: 422, title: 'The task output is too large for this', retryable: false },
  // tasks
  approval_rejected: { status: 422, title: 'The approval was rejected', retryable: false },
  loop_exhausted: { status: 422, title: 'The condition of the loop did not hold after its last round', retryable: false },
  child_failed: { status: 422, title: 'The run that the task started failed', retryable: false },
  child_cancelled: { status: 422, title: 'The run that the task started was cancelled', retryable: false },
  child_timed_out: { status: 422, title: 'The run that the task started ran out of time', retryable: false },
  activity_failed: { status: 422, title: 'The activity failed', retryable: true },
  no_worker: { status: 504, title: 'No worker took the activity in time', retryable: false },
  arguments_too_large: { status: 422, title: 'The arguments of the activity are too large', retryable: false },
  task_queue_not_allowed: { status: 403, title: 'The task queue is not allowed', retryable: false },
  activity_terminated: { status: 409, title: 'The activity was terminated in Temporal', retryable: false },
  child_too_deep: { status: 422, title: 'Too many runs are inside each other', retryable: false },
  assertion_failed: { status: 422, title: 'The assertion does not hold', retryable: false },
  invalid_task_input: { status: 422, title: 'The input of the task does not match its kind', retryable: false },
  invalid_task_output: { status: 422, title: 'The output does not match the declared schema', retryable: false },
  too_many_items: { status: 422, title: 'The map has too many items', retryable: false },
  items_failed: { status: 422, title: 'More items failed than are tolerated', retryable: false },
  task_timed_out: { status: 504, title: 'The attempt timed out', retryable: true },
  deadline_exceeded: { status: 504, title: 'The deadline has passed', retryable: false },
  task_cancelled: { status: 409, title: 'The task was cancelled', retryable: false },
  task_crashed_worker: { status: 500, title: 'The task ended its worker process each time', retryable: false },
  engine_fault: { status: 500, title: 'The engine could not continue the run', retryable: false },
  // payloads in Temporal
  payload_key_unknown: { status: 422, title: 'The payload is sealed with a key that is not configured', retryable: true },
  payload_not_opened: { status: 422, title: 'The payload does not open with its key', retryable: true },
  // secrets
  unknown_secret: { status: 422, title: 'The workspace has no such secret', retryable: false },
  secret_key_unknown: { status: 422, title: 'The secret is encrypted with a key that is not configured', retryable: true },
  secret_not_opened: { status: 422, title: 'The secret does not open with its key', retryable: false },
  // kinds
  render_failed: { status: 422, title: 'The template cannot be rendered', retryable: false },
  unsupported_language: { status: 422, title: 'No parser for this language', retryable: false },
  source_too_large: { status: 422, title: 'The source is too large to be validated', retryable: false },
  validation_timed_out: { status: 504, title: 'The validation took too long', retryable: false },
  artifact_not_found: { status: 404, title: 'The artifact does not exist', retryable: false },
  artifact_entry_not_found: { status: 404, title: 'The artifact has no such entry', retryable: false },
  artifact_too_large: { status: 413, title: 'The artifact is too large', retryable: false },
  invalid_archive: { status: 422, title: 'The archive cannot be read', retryable: false },
  http_status: { status: 502, title: 'Unexpected HTTP status', retryable: true },
  http_failed: { status: 502, title: 'The HTTP request failed', retryable: true },
  http_address_refused: { status: 422, title: 'The address is not allowed', retryable: false },
  http_response_too_large: { status: 502, title: 'The HTTP response is too large', retryable: false },
  http_response_invalid: { status: 502, title: 'The HTTP response cannot be read', retryable: false },
  circuit_open: { status: 503, title: 'The host has failed too often of late', retryable: true },
  not_configured: { status: 501, title: 'The operator has not set this up', retryable: false },
  mail_failed: { status: 502, title: 'The mail could not be handed over', retryable: true },
  mail_refused: { status: 502, title: 'The mail server refuses the mail', retryable: false },
  command_not_allowed: { status: 403, title: 'The program is not allowed', retryable: false },
  command_not_started: { status: 500, title: 'The program cannot be started', retryable: false },
  command_failed: { status: 422, title: 'The program failed', retryable: true },
  command_output_too_large: { status: 422, title: 'The program wrote too much', retryable: false },
} as const satisfies Record<string, Row>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One fault of many in a document. `pointer` is a JSON Pointer (RFC 6901); line and column are 1-based. */
export type Issue = { pointer: string; line?: number; column?: number; code: string; message: string; hint?: string };

/** What a failed task, item or run records. Holds no stack and no internals. */
export type Failure = { code: string; message: string; data?: Json };

export type ProblemOptions = {
  detail?: string;
  issues?: Issue[];
  data?: Json;
  retryAfterMs?: number;
  /** This time another try is of no use, whatever the table says. */
  final?: boolean;
  cause?: unknown;
};

/** The one error the product throws on purpose. `detail` is for people, `data` for programs; neither may hold a secret. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  readonly issues: Issue[] | undefined;
  readonly data: Json | undefined;
  /** When the other side said how long to wait before the next try, in ms. */
  readonly retryAfterMs: number | undefined;

  private readonly final: boolean;

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(options.detail ?? PROBLEMS[code].title, { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.detail = options.detail;
    this.issues = options.issues;
    this.data = options.data;
    this.retryAfterMs = options.retryAfterMs;
    this.final = options.final ?? false;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  get retryable(): boolean {
    return PROBLEMS[this.code].retryable && !this.final;
  }

  toFailure(): Failure {
    return { code: this.code, message: this.message, ...(this.data === undefined ? {} : { data: this.data }) };
  }
}
