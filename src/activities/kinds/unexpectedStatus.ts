import { Problem } from '../../domain/problem.ts';
import type { HttpResponse } from '../../providers/http/httpClient.ts';

/** Of an unexpected answer's body that the failure keeps, bytes. */
const EXCERPT = 4_096;

/** The only statuses below 500 that may change by themselves (RFC 9110, 8470, 6585). */
const WORTH_ANOTHER_TRY = new Set([408, 425, 429]);

/** What an answer with an unexpected status is: Problem http_status, or the reason of the signal. @param given.now ms since 1970 @param given.chunks its body as it may be kept */
export async function unexpectedStatus(
  response: HttpResponse,
  given: { signal: AbortSignal; now: number; chunks?: AsyncIterable<Buffer> },
): Promise<unknown> {
  const { status, headers } = response;
  const { signal, now, chunks = response.body as AsyncIterable<Buffer> } = given;
  const kept: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of chunks) {
      kept.push(chunk);
      size += chunk.length;
      if (size >= EXCERPT) break;
    }
  } catch {
    if (signal.aborted) return signal.reason; // else: the status counts, not that its body broke off
  }
  response.body.destroy();
  const body = Buffer.concat(kept).subarray(0, EXCERPT).toString('utf8');
  const retryAfterMs = readRetryAfter(headers['retry-after'], now);
  return new Problem('http_status', {
    detail: `The answer was ${status}`,
    data: { status, headers, body },
    final: status < 500 && !WORTH_ANOTHER_TRY.has(status),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  });
}

const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/** `Retry-After` in ms, 0 to a day; null when it is missing or neither seconds nor a date. @param now ms since 1970 */
export function readRetryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}
