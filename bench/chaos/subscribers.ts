import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../../src/client/createClient.ts';
import type { EventRow } from '../../tests/chaos/support/runs.ts';
import type { Field } from './field.ts';

/** What somebody who follows a run has seen, across all broken connections: `seq type`, in order. */
export type Subscriber = {
  run: string;
  way: 'socket' | 'sse';
  seen: readonly string[];
  connections: () => number;
  done: Promise<void>;
  stop: () => void;
};

const PATIENCE_MS = 20_000;
const AGAIN_MS = 200;
const isEnd = (event: string): boolean => / run\.(completed|failed|cancelled|timed_out)$/.test(event);
const isOver = (seen: readonly string[]): boolean => isEnd(seen.at(-1) ?? '');

/** Follows a run over Socket.IO from its first event, with the client library. */
export function followBySocket(field: Field, run: string, api: number): Subscriber {
  const seen: string[] = [];
  const stopping = new AbortController();
  let connections = 0;
  const onConnection = (state: 'connected' | 'lost') => {
    if (state === 'connected') connections++;
  };
  const follow = async () => {
    for (let at = api; !isOver(seen) && !stopping.signal.aborted; at++) {
      const client = createClient({ baseUrl: field.apis[at % field.apis.length]?.url ?? '', token: field.cluster.key });
      try {
        for await (const event of client.watch(run, { after: seen.length, signal: stopping.signal, patienceMs: PATIENCE_MS, onConnection }))
          seen.push(`${event.seq} ${event.type}`);
      } catch {
        await sleep(AGAIN_MS); // the service was away for longer than the library asks again
      }
    }
  };
  return {
    ...{ run, seen, way: 'socket' as const, done: follow() },
    connections: () => connections,
    stop: () => {
      stopping.abort();
    },
  };
}

/** Follows a run by server-sent events, with Last-Event-ID after each break, at one api after the other. */
export function followByStream(field: Field, run: string, api: number): Subscriber {
  const seen: string[] = [];
  const stopping = new AbortController();
  let connections = 0;
  const follow = async () => {
    for (let last = '0'; !stopping.signal.aborted && !isOver(seen);) {
      const url = field.apis[(api + connections) % field.apis.length]?.url ?? '';
      connections++;
      const headers = { authorization: `Bearer ${field.cluster.key}`, accept: 'text/event-stream', 'last-event-id': last };
      try {
        const response = await fetch(`${url}/api/v1/runs/${run}/events`, { headers, signal: stopping.signal });
        for await (const { id, event } of messages(response)) {
          seen.push(`${id} ${event}`);
          last = id;
        }
      } catch {
        // the connection broke: come back with the last id
      }
      await sleep(AGAIN_MS);
    }
  };
  return {
    ...{ run, seen, way: 'sse' as const, done: follow() },
    connections: () => connections,
    stop: () => {
      stopping.abort();
    },
  };
}

async function* messages(response: Response): AsyncGenerator<{ id: string; event: string }> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, id] = /^id: (\d+)$/m.exec(block) ?? [];
      const [, event] = /^event: (\S+)$/m.exec(block) ?? [];
      if (id !== undefined && event !== undefined) yield { id, event };
    }
  }
}

/** Whoever follows a run leaves at its end; what comes after a retry may be seen or not. @returns what was seen otherwise than it stands in the rows */
export function differs({ seen }: Subscriber, events: readonly EventRow[]): string | undefined {
  const all = events.map(({ seq, type }) => `${seq} ${type}`);
  const wanted = all.slice(0, Math.max(all.findIndex(isEnd) + 1, seen.length));
  const at = wanted.findIndex((event, i) => event !== seen[i]);
  if (at >= 0) return `saw ${seen[at] ?? 'nothing'} where ${wanted[at] ?? ''} was`;
  return seen.length > wanted.length ? `saw ${seen[wanted.length] ?? ''} after the end` : undefined;
}
