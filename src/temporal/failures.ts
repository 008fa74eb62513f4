import { isGrpcServiceError, NamespaceNotFoundError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';

/** Nobody answers in time, or no connection has ever been made. */
export class TemporalUnreachable extends Error {
  constructor() {
    super('Temporal cannot be reached');
    this.name = 'TemporalUnreachable';
  }
}

/**
 * What a failed call to Temporal means. By class and status code alone, never by text: over a native connection the
 * message of a WorkflowNotFoundError is empty.
 *
 * gone: no such execution, or it is closed · down: nobody answers, or too busy; try later · invalid: the request itself is
 * refused, for instance because a search attribute is not registered · other: anything else
 */
export type TemporalFailure = 'gone' | 'down' | 'invalid' | 'other';

const INVALID_ARGUMENT = 3;
/** CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE */
const TRANSIENT: ReadonlySet<number> = new Set([1, 2, 4, 8, 10, 13, 14]);

export function temporalFailure(error: unknown): TemporalFailure {
  if (error instanceof WorkflowNotFoundError) return 'gone';
  // After a wipe the namespace is missing for a moment.
  if (error instanceof NamespaceNotFoundError || error instanceof TemporalUnreachable) return 'down';
  if (isGrpcServiceError(error)) {
    const code: number = error.code;
    if (code === INVALID_ARGUMENT) return 'invalid';
    return TRANSIENT.has(code) ? 'down' : 'other';
  }
  if (error instanceof Error && error.cause !== undefined) return temporalFailure(error.cause);
  return error instanceof Error && error.name === 'TransportError' ? 'down' : 'other';
}

/** The deadline of a native call counts for each of its retries alone; this one is for all of them. @throws TemporalUnreachable */
export async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new TemporalUnreachable());
  }, ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
