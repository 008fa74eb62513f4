import createFetch from 'openapi-fetch';
import type { paths } from './types.gen.ts';

export type HttpOptions = {
  /** Without a path: `https://tiu.example.com`. */
  baseUrl: string;
  /** An API key or an access token. */
  token: string;
  fetch?: (request: Request) => Promise<Response>;
};

/** How the service is asked. */
export type Http = ReturnType<typeof createHttp>;

export function createHttp(options: HttpOptions) {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const fetch = options.fetch ?? globalThis.fetch;
  const authorization = `Bearer ${options.token}`;
  return { baseUrl, token: options.token, authorization, fetch, api: createFetch<paths>({ baseUrl, fetch, headers: { authorization } }) };
}
