import { createTurns } from '../domain/turns.ts';
import { openConnection, type Log } from './connection.ts';
import type { Statement } from './database.ts';
import { runsPayload } from './notifyRuns.ts';

const INTERVAL_MS = 5;
/** As many commits as a short run has. */
const BURST = 4;
/** More that end at once are read by those who wait for them. */
const MAX_ENDED = 8;

/** queued: a run may begin · closed: a run made room for others · wait: a wait was opened · command: one was written · awaited: somebody waits for a queued run · bulk: there is a bulk job */
export type Kick = 'queued' | 'closed' | 'wait' | 'command' | 'awaited' | 'bulk';
export const isKick = (text: string): text is Kick => ['queued', 'closed', 'wait', 'command', 'awaited', 'bulk'].includes(text);

/** What is told: runs to which something was committed, those of them that may have ended, and what the dispatcher may have to do. */
export type Hint = { runs: readonly string[]; ended?: readonly string[]; kicks: readonly Kick[] };

export type Notices = {
  /** Tells after a commit, soon. */
  tell: (hint: Hint) => void;
  /**
   * The same as a statement to send right behind the commit, which brings short runs along that have ended; undefined when
   * it is not its turn: then `tell` afterwards.
   */
  behind: (hint: Hint) => Statement | undefined;
  close: () => Promise<void>;
};

/**
 * NOTIFY after the commit, as a transaction of its own: inside it would hold a database-wide lock through the commit's
 * sync. A few at once, then at most every 5 ms, each with all there is to tell. A notice is a hint; one that is lost
 * costs a poll, one that says too much a look.
 */
export function createNotices(deps: { url: string; log?: Log | undefined }): Notices {
  const connection = openConnection({ url: deps.url, name: 'notices', log: deps.log });
  const runs = new Set<string>();
  const kicks = new Set<Kick>();
  const turns = createTurns({ now: () => performance.now() }, { burst: BURST, everyMs: INTERVAL_MS });
  let sending: Promise<void> | undefined;

  const add = (hint: Hint) => {
    for (const run of hint.runs) runs.add(run);
    for (const kick of hint.kicks) kicks.add(kick);
  };
  const take = (ended: readonly string[]): Statement => {
    const payloads: [channel: string, payload: string][] = [];
    if (runs.size > 0) payloads.push(['run', runsPayload([...runs])]);
    if (kicks.size > 0) payloads.push(['kick', [...kicks].join()]);
    runs.clear();
    kicks.clear();
    const values = [payloads.map(([channel]) => channel), payloads.map(([, payload]) => payload), ended.slice(0, MAX_ENDED)];
    return { name: 'notify', text: 'select notify_v1($1, $2, $3)', values };
  };
  const send = async () => {
    await new Promise((resolve) => setImmediate(resolve)); // what is committed together is told together
    while (runs.size > 0 || kicks.size > 0) {
      const wait = turns.untilNext();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      turns.take();
      await connection.rows(take([])).catch(() => undefined);
    }
    sending = undefined;
  };
  return {
    tell: (hint) => {
      add(hint);
      sending ??= send();
    },
    behind: (hint) => {
      if (sending !== undefined || turns.untilNext() > 0) return undefined;
      turns.take();
      add(hint);
      return take(hint.ended ?? []);
    },
    close: async () => {
      // a lost server must not hold up the end of a process
      await Promise.race([sending, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
      await connection.end();
    },
  };
}
