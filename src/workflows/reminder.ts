import { CancellationScope, sleep } from '@temporalio/workflow';

/** One timer for the next thing that is due. */
export type Reminder = {
  /** @param due from now, ms; null: nothing. A later time than the one set changes nothing. */
  remind: (due: number | null) => void;
  within: (ms: number) => boolean;
};

// eslint-disable-next-line no-restricted-properties -- in a workflow this is the time of the history, the same in every replay
const now = (): number => Date.now();

/** @param whatFor names what is waited for, for people who look at the timer */
export function createReminder(remember: () => void, whatFor: () => string): Reminder {
  let at = Number.POSITIVE_INFINITY;
  let scope: CancellationScope | undefined;
  const set = (time: number): void => {
    scope?.cancel();
    at = time;
    const own = new CancellationScope();
    scope = own;
    own
      .run(() => sleep(Math.max(1, time - now()), { summary: whatFor() }))
      .then(
        () => {
          at = Number.POSITIVE_INFINITY;
          remember();
        },
        () => undefined,
      );
  };
  return {
    remind: (due) => {
      const time = due === null ? Number.POSITIVE_INFINITY : now() + Math.ceil(due) + 1;
      if (time < at) set(time);
    },
    within: (ms) => at < now() + ms,
  };
}
