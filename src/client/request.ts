import { ApiProblem, toProblemBody, Unreachable } from './apiProblem.ts';

type Answer<T> = { data?: T; error?: unknown; response: Response };

const TRIES = 5;
const FIRST_DELAY_MS = 100;

/** The body of a good answer. @throws ApiProblem for any other, Unreachable when there is none */
export async function answered<T>(baseUrl: string, call: () => Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await reaching(baseUrl, call);
  if (response.ok) return data as T;
  throw new ApiProblem(toProblemBody(error, response.status), Number(response.headers.get('retry-after') ?? Number.NaN) || undefined);
}

/**
 * Like `answered`, for calls that are safe to repeat (they read, or carry an idempotency key): repeats them while the
 * service is away or says that it is busy, with growing delays, about 3 s in all.
 */
export async function answeredAtLast<T>(baseUrl: string, call: () => Promise<Answer<T>>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await answered(baseUrl, call);
    } catch (error) {
      if (attempt >= TRIES || !isPassing(error)) throw error;
      const asked = error instanceof ApiProblem ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
      await delay(Math.max(asked, FIRST_DELAY_MS * 2 ** attempt));
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable || (error instanceof ApiProblem && (error.status === 503 || error.code === 'idempotency_in_progress'));

async function reaching<T>(baseUrl: string, call: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await call();
  } catch (error) {
    // That is what fetch throws when no answer came, or half of one; by name, since it may come from another realm.
    if (typeof error === 'object' && error !== null && 'name' in error && error.name === 'TypeError') throw new Unreachable(baseUrl, error);
    throw error;
  }
}

const delay = (ms: number): Promise<void> =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
