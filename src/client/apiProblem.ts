/** One fault of many in a request. `pointer` is a JSON Pointer (RFC 6901); line and column are 1-based and come with YAML. */
export type ApiIssue = { pointer: string; line?: number; column?: number; code: string; message: string; hint?: string };

/** The service refused a request (RFC 9457). `code` is stable and for programs, `message` for people. */
export class ApiProblem extends Error {
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  readonly title: string;
  readonly issues: readonly ApiIssue[];
  readonly requestId: string | undefined;
  /** What the service asked to wait before the next try, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(body: ProblemBody, retryAfterSeconds?: number) {
    super(body.detail ?? body.title);
    this.name = 'ApiProblem';
    this.code = body.code;
    this.status = body.status;
    this.title = body.title;
    this.issues = body.issues ?? [];
    this.requestId = body.requestId;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The service did not answer: nothing listens there, or the connection broke. */
export class Unreachable extends Error {
  readonly baseUrl: string;

  constructor(baseUrl: string, cause?: unknown) {
    super(`no answer from ${baseUrl}`, { cause });
    this.name = 'Unreachable';
    this.baseUrl = baseUrl;
  }
}

export type ProblemBody = { code: string; status: number; title: string; detail?: string; requestId?: string; issues?: ApiIssue[] };

/** Reads a problem from whatever arrived; an answer that is none (a proxy's page) becomes `unexpected_answer`. `status` is for one that names none. */
export function toProblemBody(body: unknown, status: number): ProblemBody {
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    return { title: body.code, status, ...body } as ProblemBody;
  }
  return { code: 'unexpected_answer', status, title: `The service answered ${status} without a problem document` };
}
