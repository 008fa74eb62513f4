import { LRUCache } from 'lru-cache';
import { admit, CLOSED, settle, type Circuit, type CircuitRules, type Verdict } from '../../domain/circuit.ts';
import { Problem } from '../../domain/problem.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './httpClient.ts';

export type CircuitSettings = CircuitRules & {
  /** Circuits kept at once; the one longest unused is forgotten, as if its host worked. */
  max: number;
};

/** A request on behalf of a workspace, which has circuits of its own: what one does to a host costs no other anything. */
type OutgoingRequest = HttpRequest & {
  workspace: string;
  /** Statuses that the task expects; a 5xx among them is no fault of the host. */
  expects: (status: number) => boolean;
};

export type Outgoing = {
  /** @throws Problem circuit_open with the time until the next probe, and whatever the client throws */
  send: (request: OutgoingRequest) => Promise<HttpResponse>;
};

export type Circuits = Outgoing & {
  /** Hosts with a circuit that is not closed, and how many workspaces found them so. */
  states: () => { host: string; open: number; halfOpen: number }[];
};

/**
 * A circuit for each workspace and host (name and port), in the memory of this process. A fault is no connection, no
 * answer in the time of the attempt, or a 5xx; every other answer says that the host works.
 */
export function createCircuits(deps: { http: Pick<HttpClient, 'send'>; now: () => number }, settings: CircuitSettings): Circuits {
  const { http, now } = deps;
  const circuits = new LRUCache<string, Circuit>({ max: settings.max });
  const keep = (key: string, circuit: Circuit) => {
    // Most hosts work, and nothing has to be known of them.
    if (circuit === CLOSED) circuits.delete(key);
    else circuits.set(key, circuit);
  };
  return {
    send: async (request) => {
      const host = hostOf(request.url);
      if (host === undefined) return http.send(request); // it knows what is wrong with it
      const key = `${request.workspace} ${host}`;
      const admission = admit(circuits.get(key) ?? CLOSED, now(), settings);
      keep(key, admission.circuit);
      if (!admission.passes) throw open(host, admission.retryInMs);
      const tell = (verdict: Verdict) => {
        keep(key, settle(circuits.get(key) ?? CLOSED, { verdict, probe: admission.probe, now: now() }, settings));
      };
      try {
        const response = await http.send(request);
        tell(response.status >= 500 && !request.expects(response.status) ? 'fault' : 'works');
        return response;
      } catch (error) {
        tell(isFault(error) ? 'fault' : 'nothing');
        throw error;
      }
    },
    states: () => statesOf(circuits),
  };
}

const FAULTS: ReadonlySet<string> = new Set(['http_failed', 'task_timed_out']);
const isFault = (error: unknown): boolean => error instanceof Problem && FAULTS.has(error.code);

const hostOf = (url: string): string | undefined => (URL.canParse(url) ? new URL(url).origin.replace(/^\w+:\/\//, '') : undefined);

function open(host: string, retryInMs: number): Problem {
  const seconds = Math.ceil(retryInMs / 1_000);
  return new Problem('circuit_open', {
    detail: `${host} has failed too often of late; it is probed in ${seconds} s`,
    data: { host },
    retryAfterMs: retryInMs,
  });
}

function statesOf(circuits: LRUCache<string, Circuit>): ReturnType<Circuits['states']> {
  const hosts = new Map<string, { host: string; open: number; halfOpen: number }>();
  for (const [key, { state }] of circuits.entries()) {
    if (state === 'closed') continue;
    const host = key.slice(key.indexOf(' ') + 1);
    const row = hosts.get(host) ?? { host, open: 0, halfOpen: 0 };
    if (state === 'open') row.open += 1;
    else row.halfOpen += 1;
    hosts.set(host, row);
  }
  return [...hosts.values()];
}
