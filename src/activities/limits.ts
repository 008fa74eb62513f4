import { freeLeases, renewLeases, type LimitRequest } from '../db/limits.ts';
import { LIMITS } from '../domain/definition/limits.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import type { Json } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import type { ActivityDeps } from './deps.ts';
import type { CompiledTask } from './plans.ts';

/**
 * What an attempt asks of the limits of its task and its run, by key; of one key twice the narrower counts.
 * @throws Problem invalid_task_input and those of expressions
 */
export function limitRequests(task: CompiledTask, bindings: Bindings): LimitRequest[] {
  const requests = new Map<string, LimitRequest>();
  for (const { key: template, concurrency, rate } of task.limited) {
    const key = keyOf(template.evaluate(bindings));
    const known = requests.get(key);
    const slots = Math.min(concurrency ?? Infinity, known?.concurrency ?? Infinity);
    const tokens = rate && !isWider(rate, known) ? { rate: rate.limit, perMs: rate.perMs } : {};
    requests.set(key, { ...known, key, ...(slots < Infinity && { concurrency: slots }), ...tokens });
  }
  return [...requests.values()];
}

const isWider = (rate: { limit: number; perMs: number }, known: LimitRequest | undefined): boolean =>
  known?.rate !== undefined && known.perMs !== undefined && rate.limit / rate.perMs >= known.rate / known.perMs;

function keyOf(value: Json): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text === 'string' && text.length > 0 && text.length <= LIMITS.keyLength && !text.includes('\u0000')) return text;
  throw new Problem('invalid_task_input', { detail: `the key of a limit must be text of 1 to ${LIMITS.keyLength} characters` });
}

const RENEW_MS = 5_000;

/** Holds the slots of an attempt while it is at work. @returns what frees them, and wakes whose turn has come */
export function holdLimits(deps: Pick<ActivityDeps, 'db' | 'poke'>, token: string): () => Promise<void> {
  const quietly = () => undefined; // the sweeper frees what is not freed here, and a lease lasts for many beats
  const renewing = setInterval(() => void renewLeases(deps.db, token).catch(quietly), RENEW_MS);
  return async () => {
    clearInterval(renewing);
    const woken = await freeLeases(deps.db, token).catch(() => []);
    for (const run of new Set(woken)) void deps.poke(run).catch(quietly);
  };
}
