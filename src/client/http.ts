import createFetch from 'openapi-fetch';
import type { paths } from './types.gen.ts';

export type HttpOptions = {
  /** Without a path: `https://tiu.example.com`. */
  baseUrl: string;
  /** An API key or an access token, or what gives one that is good now: it is asked before each request. */
  token: string | (() => Promise<string>);
  fetch?: (request: Request) => Promise<Response>;
};

/** How the service is asked. */
export type Http = ReturnType<typeof createHttp>;

/** @param options without a token: for what is asked before there is one */
export function createHttp(options: Omit<HttpOptions, 'token'> & Partial<HttpOptions>) {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const { token } = options;
  const current = async (): Promise<string | undefined> => (typeof token === 'function' ? token() : token);
  const fetch = async (request: Request): Promise<Response> => {
    const shown = await current();
    if (shown !== undefined) request.headers.set('authorization', `Bearer ${shown}`);
    return (options.fetch ?? globalThis.fetch)(request);
  };
  return { baseUrl, token: current, fetch, api: createFetch<paths>({ baseUrl, fetch }) };
}
