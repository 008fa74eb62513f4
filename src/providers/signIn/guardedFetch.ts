import { Readable } from 'node:stream';
import type { CustomFetch } from 'openid-client';
import type { HttpClient } from '../http/httpClient.ts';

/** `fetch` for the OpenID client over the house's client: checked addresses, no redirects, bounded answers. */
export const guardedFetch =
  (http: HttpClient): CustomFetch =>
  async (url, options) => {
    const answer = await http.send({
      method: options.method,
      url,
      headers: { ...options.headers, ...contentType(options.body) },
      body: bytesOf(options.body),
      signal: options.signal ?? new AbortController().signal,
    });
    const empty = answer.status === 204 || answer.status === 304;
    if (empty) answer.body.resume();
    return new Response(empty ? null : (Readable.toWeb(answer.body) as ReadableStream), { status: answer.status, headers: answer.headers });
  };

const contentType = (body: unknown) =>
  body instanceof URLSearchParams ? { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' } : {};

function bytesOf(body: unknown): Buffer | null {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string' || body instanceof URLSearchParams) return Buffer.from(body.toString());
  if (body instanceof Uint8Array) return Buffer.from(body);
  throw new TypeError('only text and bytes are sent to issuers');
}
