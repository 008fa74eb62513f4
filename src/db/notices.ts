import { openConnection, type Log } from './connection.ts';

const INTERVAL_MS = 5;
const MAX_IDS = 150;

/** queued: a run may begin · closed: a run made room for others · wait: a wait was opened · command: one was written */
export type Kick = 'queued' | 'closed' | 'wait' | 'command';
export const isKick = (text: string): text is Kick => ['queued', 'closed', 'wait', 'command'].includes(text);

export type Notices = {
  /** Something was committed to this run. */
  run: (runId: string) => void;
  /** The dispatcher has something to do of this kind. */
  kick: (what: Kick) => void;
  close: () => Promise<void>;
};

/**
 * NOTIFY on a connection of its own, after the commit and at most every 5 ms: inside a transaction it would hold a
 * database-wide lock through the commit's sync. A notice is a hint; one that is lost costs a poll.
 */
export function createNotices(deps: { url: string; log?: Log | undefined }): Notices {
  const connection = openConnection({ url: deps.url, name: 'notices', log: deps.log });
  const runs = new Set<string>();
  const kicks = new Set<Kick>();
  let sending: Promise<void> | undefined;

  const flush = async () => {
    const payloads: [channel: string, payload: string][] = [];
    if (runs.size > 0) payloads.push(['run', runs.size > MAX_IDS ? '*' : [...runs].join()]);
    if (kicks.size > 0) payloads.push(['kick', [...kicks].join()]);
    runs.clear();
    kicks.clear();
    const text = 'select pg_notify(c, p) from unnest($1::text[], $2::text[]) x(c, p)';
    await connection.rows({ name: 'notify', text, values: [payloads.map(([c]) => c), payloads.map(([, p]) => p)] }).catch(() => undefined);
  };
  const send = async () => {
    await new Promise((resolve) => setImmediate(resolve)); // what is committed together is told together
    while (runs.size > 0 || kicks.size > 0) {
      await flush();
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
    sending = undefined;
  };
  return {
    run: (runId) => {
      runs.add(runId);
      sending ??= send();
    },
    kick: (what) => {
      kicks.add(what);
      sending ??= send();
    },
    close: async () => {
      // a lost server must not hold up the end of a process
      await Promise.race([sending, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
      await connection.end();
    },
  };
}
