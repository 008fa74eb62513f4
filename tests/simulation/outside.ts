import type { Executors } from '../../src/activities/kinds/executor.ts';
import { Problem } from '../../src/domain/problem.ts';
import type { Clock } from './clock.ts';

/** Which round of a loop has this key: the first one has none. */
const roundOf = (key: string): number => 1 + Number(key.split('/')[4] ?? 0);

/** Where effects go: remembers every call by its key. */
export type Outside = {
  executors: Executors;
  calls: Map<string, number>;
  /** Lets go of all signals: one that is listened to outlives its world. */
  close: () => void;
};

const SHY_UNTIL = 2;
const LONG_MS = 3_000;

export function createOutside({ random, clock }: { random: () => number; clock: Clock }): Outside {
  const calls = new Map<string, number>();
  const listening: (() => void)[] = [];
  const http: Executors[string] = (input, { key, signal }) =>
    new Promise((resolve, reject) => {
      const tries = (calls.get(key) ?? 0) + 1;
      calls.set(key, tries);
      const what = JSON.stringify(input.url).split('/').at(-1)?.replace('"', '');
      const end = (): void => {
        if (what === 'bad' || (what === 'shy' && tries < SHY_UNTIL)) reject(new Problem('http_status', { data: { status: 500 } }));
        else resolve({ status: 200, headers: {}, body: { round: roundOf(key) } });
      };
      clock.after(random() < 0.9 ? random() * 60 : random() * LONG_MS, end);
      const abort = (): void => {
        reject(signal.reason instanceof Error ? signal.reason : new Problem('task_cancelled'));
      };
      signal.addEventListener('abort', abort);
      listening.push(() => {
        signal.removeEventListener('abort', abort);
      });
    });
  return {
    executors: { http },
    calls,
    close: () => {
      for (const forget of listening) forget();
    },
  };
}
