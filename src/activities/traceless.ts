import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import type { ActivityDeps } from './deps.ts';

type Activity = (...args: never[]) => Promise<unknown>;

/**
 * What an activity throws is kept in a history, where operators of Temporal read it: no stack, and of errors that are
 * not made for it only their kind, because a database's words may quote data. The log has the whole.
 */
export function traceless<A extends Record<string, Activity>>(activities: A, log: ActivityDeps['log']): A {
  const guarded = Object.entries(activities).map(([name, activity]) => [
    name,
    async (...args: never[]) => {
      try {
        return await activity(...args);
      } catch (error) {
        throw withoutTrace(error, (cause) => {
          log.warn({ err: cause, activity: name }, 'activity.failed');
        });
      }
    },
  ]);
  return Object.fromEntries(guarded) as A;
}

function withoutTrace(error: unknown, report: (error: unknown) => void): Error {
  const known = error instanceof TemporalFailure;
  if (!known) report(error);
  const failure = known ? error : ApplicationFailure.create({ message: kindOf(error), type: kindOf(error) });
  failure.stack = '';
  return failure;
}

function kindOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown';
}
