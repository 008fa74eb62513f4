import createFetch from 'openapi-fetch';
import type { RunEvent } from '../domain/run/events.ts';
import { createArtifacts, type Artifacts } from './artifacts.ts';
import { answeredAtLast } from './request.ts';
import { createRuns, type Runs } from './runs.ts';
import type { paths } from './types.gen.ts';
import { watchRun, type WatchOptions } from './watchRun.ts';
import { createWorkflows, type Workflows } from './workflows.ts';

export type ClientOptions = {
  /** Without a path: `https://tiu.example.com`. */
  baseUrl: string;
  /** An API key or an access token. */
  token: string;
  fetch?: (request: Request) => Promise<Response>;
};

export type Http = {
  baseUrl: string;
  token: string;
  fetch: (request: Request) => Promise<Response>;
  api: ReturnType<typeof createFetch<paths>>;
};

export type Client = {
  baseUrl: string;
  workflows: Workflows;
  runs: Runs;
  artifacts: Artifacts;
  /** The events of a run after `options.after`, gapless across broken connections, up to the one that closes it. */
  watch: (runId: string, options?: WatchOptions) => AsyncGenerator<RunEvent>;
  /** State of the service's parts. */
  health: () => Promise<Health>;
};
export type Health = Awaited<ReturnType<typeof readHealth>>;

/**
 * A client of the service. Every call throws ApiProblem when the service refuses and Unreachable when it does not
 * answer; calls that are safe to repeat are repeated for some seconds first.
 */
export function createClient(options: ClientOptions): Client {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const fetch = options.fetch ?? globalThis.fetch;
  const http: Http = {
    baseUrl,
    token: options.token,
    fetch,
    api: createFetch<paths>({ baseUrl, fetch, headers: { authorization: `Bearer ${options.token}` } }),
  };
  const runs = createRuns(http);
  return {
    baseUrl,
    workflows: createWorkflows(http),
    runs,
    artifacts: createArtifacts(http),
    watch: (runId, watchOptions) => watchRun(http, { id: runId, isOver: runs.isOver(runId) }, watchOptions),
    health: () => readHealth(http),
  };
}

const readHealth = ({ baseUrl, api }: Http) => answeredAtLast(baseUrl, () => api.GET('/health'));
