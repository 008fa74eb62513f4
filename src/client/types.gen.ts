type Json<T> = { content: { 'application/json': T } };
type Response<T> = Json<T> & { headers: Record<string, unknown> };
type Op<Parameters, Body, T> = { parameters: Parameters; responses: { 200: Response<T> } } & (Body extends undefined
  ? { requestBody?: never }
  : { requestBody: Json<Body> });
type List<T> = { items: T[]; nextCursor: string | null };
type Run = {
  id: string;
  workflow: { name: string; number: number | null };
  status: string;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  lastSeq: number;
  counts: { total: number; open: number; failed?: number };
  reason: string | null;
  failure: { code: string; message: string } | null;
  links: { temporal: string };
};
type Event = { seq: number; type: string; at: string; runId: string; task?: string; item?: number; attempt?: number; data?: unknown };
type Page = { query?: { limit?: number; cursor?: string; status?: string; after?: number } };
type Id = { path: { id: string } } & Page;
type Free = Record<string, unknown>;
export interface paths {
  '/api/v1/workflows/check': { post: Op<object, Free, { valid: boolean; issues: Free[] }> };
  '/api/v1/workflows': { post: Op<object, Free, Free>; get: Op<Page, undefined, List<Free>> };
  '/api/v1/workflows/{name}/execute': { post: Op<{ path: { name: string }; header: { 'idempotency-key': string } }, Free, Run> };
  '/api/v1/runs': { post: Op<{ header: { 'idempotency-key': string } }, Free, Run>; get: Op<Page, undefined, List<Run>> };
  '/api/v1/runs/{id}': { get: Op<Id, undefined, Run> };
  '/api/v1/runs/{id}/tasks': { get: Op<Id, undefined, List<Free>> };
  '/api/v1/runs/{id}/output': { get: Op<Id, undefined, { runId: string; status: string; output: unknown }> };
  '/api/v1/runs/{id}/events': { get: Op<Id, undefined, List<Event>> };
  '/api/v1/runs/{id}/cancel': { post: Op<Id & { header: { 'idempotency-key': string } }, { reason?: string }, Run> };
  '/health': { get: Op<object, undefined, Free> };
}
