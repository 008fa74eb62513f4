import type { Kick } from '../db/notices.ts';
import type { Executions } from '../temporal/executions.ts';

type Woken = { kick: (what?: Kick) => void; executions: Pick<Executions, 'prepare'> };

export type Waker = ReturnType<typeof createWaker>;

/** Breaks the circle between the link, which says when Temporal is back, and those who want to know. */
export function createWaker() {
  let woken: Woken | undefined;
  let polling = false;
  const kick = (what?: Kick) => woken?.kick(what);
  return {
    kick,
    connect: (parts: Woken) => {
      woken = parts;
      kick();
    },
    /** Temporal may have lost the search attributes with everything else. */
    up: () => {
      void woken?.executions.prepare().then(() => {
        kick();
      });
    },
    /** Nothing is started before this process polls: it is the one that will be asked to carry it. */
    polling: () => polling,
    setPolling: (now: boolean) => {
      polling = now;
      if (now) kick();
    },
  };
}
