import { isObject, type Json } from '../json.ts';
import { hasAttempts, type Kind } from '../kinds/kind.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Concurrency, LoopPlan, MapPlan, RetryPolicy, TaskLimit } from '../plan/plan.ts';
import type { DefinitionTask } from './definition.ts';
import type { document, map, retry, task } from './shape.ts';
import type { Reader } from './reader.ts';

type Read<R> = R extends Reader<infer T> ? T : never;
/** What the shape made of a document: every key read, or missing because it was absent or faulty. */
export type ReadDocument = Read<typeof document>;
export type ReadTask = Read<typeof task>;
export type ReadRetry = Read<typeof retry>;
/** What a task leaves to the definition. */
type Context = Pick<ReadDocument, 'defaults' | 'use'>;

const RETRY = { limit: 3, delayMs: 1_000, backoff: 2, maxDelayMs: 60_000, jitter: 0.2 };
const MAP = { as: 'item', maxConcurrency: 20 };

export const isRetryable = (kind: Kind): boolean => Object.values(kind.failures).some(({ retryable }) => retryable);

/** A task with everything filled in that it, the definition's defaults and its kind leave unsaid; named policies are written out. */
export function normaliseTask(read: ReadTask, kind: Kind, { defaults = {}, use }: Context = {}): DefinitionTask {
  const { title, deadline, labels, metadata } = read;
  const given = read.retry ?? defaults.retry;
  const policy = typeof given === 'string' ? use?.retries?.[given] : given;
  const timeoutMs = read.timeout ?? defaults.timeout ?? kind.defaultTimeoutMs;
  const condition = read.if;
  return {
    type: kind.name,
    ...(title === undefined ? {} : { title }),
    ...(condition === undefined ? {} : { if: condition }),
    dependsOn: [...(read.dependsOn ?? [])].sort((a, b) => (a.task < b.task ? -1 : 1)),
    join: read.join ?? 'all',
    with: normaliseFields(read.with ?? {}, kind),
    ...(read.map === undefined ? {} : { map: normaliseMap(read.map) }),
    ...(policy !== undefined && isRetryable(kind) ? { retry: normaliseRetry(policy) } : {}),
    ...(timeoutMs !== undefined && hasAttempts(kind) ? { timeoutMs } : {}),
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    ...(read.onDeadline === undefined ? {} : { onDeadline: read.onDeadline }),
    ...(read.output?.schema === undefined ? {} : { outputSchema: read.output.schema }),
    ...(read.limits === undefined ? {} : { limits: normaliseLimits(read.limits) }),
    ...(read.loop === undefined ? {} : { loop: normaliseLoop(read.loop) }),
    onError: read.onError ?? 'fail',
    ...(read.priority === undefined ? {} : { priority: read.priority }),
    ...(labels === undefined ? {} : { labels }),
    ...(metadata === undefined ? {} : { metadata }),
    ...compensationOf(read, { defaults, ...(use && { use }) }),
  };
}

/** Called of a kind that is there: an unknown one has been reported. */
function compensationOf({ compensate }: ReadTask, context: Context): { compensate?: DefinitionTask } {
  const kind = compensate?.type === undefined || !Object.hasOwn(KINDS, compensate.type) ? undefined : KINDS[compensate.type];
  return compensate === undefined || kind === undefined ? {} : { compensate: normaliseTask(compensate, kind, context) };
}

function normaliseFields(given: { [field: string]: Json }, kind: Kind): { [field: string]: Json } {
  const entries = Object.entries(kind.with).flatMap(([name, { default: value, form }]): [string, Json][] => {
    const written = Object.hasOwn(given, name) ? given[name] : value;
    if (written === undefined) return [];
    return [[name, form === 'condition' && typeof written === 'boolean' ? String(written) : written]];
  });
  return Object.fromEntries(entries);
}

const normaliseLoop = ({ until = 'true', every = 0, max = 1, onExhausted = 'fail' }: NonNullable<ReadTask['loop']>): LoopPlan => ({
  until,
  everyMs: every,
  max,
  onExhausted,
});

function normaliseMap({ items, matrix, as = MAP.as, maxConcurrency = MAP.maxConcurrency, tolerate, ...rest }: Read<typeof map>): MapPlan {
  return {
    items: matrix === undefined ? (items ?? []) : { matrix },
    as,
    maxConcurrency,
    ...(rest.batch === undefined ? {} : { batch: rest.batch }),
    ...(tolerate === undefined ? {} : { tolerate }),
    ...(rest.if === undefined ? {} : { if: rest.if }),
  };
}

export const normaliseConcurrency = ({
  key = '',
  limit = 1,
  onConflict = 'queue',
}: NonNullable<ReadDocument['concurrency']>): Concurrency => ({
  key,
  limit,
  onConflict,
});

export const normaliseLimits = (limits: NonNullable<ReadDocument['limits']>): TaskLimit[] =>
  limits.map(({ key = '', concurrency, rate }) => ({
    key,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined ? {} : { rate: { limit: rate.limit ?? 1, perMs: rate.per ?? 1 } }),
  }));

function normaliseRetry({ limit, delay, backoff, maxDelay, jitter, codes, except }: ReadRetry): RetryPolicy {
  const delayMs = delay ?? Math.min(RETRY.delayMs, maxDelay ?? Infinity);
  return {
    limit: limit ?? RETRY.limit,
    delayMs,
    backoff: backoff ?? RETRY.backoff,
    maxDelayMs: maxDelay ?? Math.max(RETRY.maxDelayMs, delayMs),
    jitter: jitter ?? RETRY.jitter,
    ...(codes === undefined ? {} : { codes: [...new Set(codes)].sort() }),
    ...(except === undefined ? {} : { except: [...new Set(except)].sort() }),
  };
}

/** Whether a value holds an expression anywhere. `$${` is text. */
export function holdsExpression(value: Json): boolean {
  if (typeof value === 'string') return value.replaceAll('$${', '').includes('${');
  if (Array.isArray(value)) return value.some(holdsExpression);
  return isObject(value) && Object.values(value).some(holdsExpression);
}
