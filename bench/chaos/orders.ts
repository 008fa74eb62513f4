import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedRun } from '../../tests/chaos/support/runs.ts';
import type { Field } from './field.ts';
import type { Order, Sample } from './samples.ts';
import { acceptedRun, post, postUntilAnswered, type Answer } from './submits.ts';

/** A run that a client has orders for. */
export type Ordered = {
  field: Field;
  run: AcceptedRun;
  sample: Sample;
  isOpen: () => boolean;
  /** Counts the run as open again. @returns resolves when it has closed */
  reopen: () => Promise<void>;
  /** Takes in a run that an order has made. @returns resolves when it has closed */
  add: (run: AcceptedRun) => Promise<void>;
};

const AGAIN_MS = 200;

/** Carries out what is ordered of a run while it goes on. Resolves when the run needs nobody any more. */
export async function carryOut(ordered: Ordered): Promise<void> {
  const { field, run, isOpen } = ordered;
  const order = ordered.sample.order;
  if (order?.type === 'cancel') {
    // one that finds the run closed came too late; one that nobody answers is given up
    await sleep(order.afterMs);
    await post(field, 0, { path: `/runs/${run.id}/cancel`, body: { reason: 'chaos' } }).catch(() => undefined);
  } else if (order?.type === 'pause') {
    await sleep(order.afterMs);
    await ask(ordered, 'pause', {});
    await sleep(order.forMs);
    // until it ends: an answer that got lost does not tell which of the two came last
    for (let answered = false; isOpen(); answered = (await ask(ordered, 'resume', {})) || answered)
      await sleep(AGAIN_MS * (answered ? 5 : 1));
  } else if (order?.type === 'approve') await approve(ordered, order);
}

/** One request, perhaps in vain. */
const ask = ({ field, run }: Ordered, what: string, body: object): Promise<boolean> =>
  post(field, 1, { path: `/runs/${run.id}/${what}`, body }).then(
    ({ status }) => status === 202,
    () => false,
  );

async function approve(ordered: Ordered, { tasks }: Extract<Order, { type: 'approve' }>): Promise<void> {
  const decided = new Set<string>();
  while (ordered.isOpen() && decided.size < tasks.length) {
    await sleep(AGAIN_MS);
    for (const task of tasks) if (!decided.has(task) && (await ask(ordered, `tasks/${task}/approve`, {}))) decided.add(task);
    // what was decided without an answer is refused from then on, and the run goes on and ends
  }
}

/** Carries out what is ordered of a run that has closed. @throws Error if it is refused */
export async function carryOn(ordered: Ordered): Promise<void> {
  const { field, run, sample } = ordered;
  const { order } = sample;
  if (order?.type === 'retry') {
    const answer = await postUntilAnswered(field, 0, { path: `/runs/${run.id}/retry`, body: {} });
    expectStatus(answer, 'a retry');
    await ordered.reopen();
  } else if (order?.type === 'fork') {
    const answer = await postUntilAnswered(field, 0, { path: `/runs/${run.id}/fork`, body: { from: [order.from] } });
    expectStatus(answer, 'a fork');
    await ordered.add(acceptedRun(answer.body.id ?? '', sample));
  }
}

function expectStatus({ status, body }: Answer, what: string): void {
  if (status !== 202) throw new Error(`${what} was answered ${status} ${JSON.stringify(body)}`);
}
