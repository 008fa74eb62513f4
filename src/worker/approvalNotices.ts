import type { Executor } from '../activities/kinds/executor.ts';
import { effectKey } from '../activities/attempt.ts';
import { claimNotices, claimReminders, endNotice, type DueNotice, type NoticeEnd } from '../db/approvalNotices.ts';
import type { Database } from '../db/database.ts';
import type { Plans } from '../db/repositories/plans.ts';
import type { JsonObject } from '../domain/json.ts';
import { notify as contract } from '../domain/kinds/notify.ts';
import { retryDelayMs } from '../domain/plan/retry.ts';
import { Problem } from '../domain/problem.ts';
import { noticeOf, type Notice } from '../domain/run/reminders.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

export type ApprovalNoticesDeps = {
  db: Pick<Database, 'rows'>;
  plans: Pick<Plans, 'get'>;
  /** How the kind `notify` sends. */
  notify: Executor | undefined;
  log: Log;
  metrics: Pick<WorkerMetrics, 'reminders'>;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
};

/** How often each is tried in all, and the time to the second try, ms. */
export type NoticeTries = { tries: number; delayMs: number };

const PERIOD_MS = 1_000;
/** Under way at once in this process; more stay due. */
const MAX_AT_WORK = 20;
const TIMEOUT_MS = 30_000;
/** For so long a notice is this worker's: longer than a try and the record of how it ended. */
const LEASE_MS = 60_000;
const MAX_DELAY_MS = 3_600_000;
/** What is under way when the worker stops may take so long still. */
const PATIENCE_MS = 3_000;

/**
 * Tells people of open approvals, when they open and when they remind. Any number of workers may do so at once: a notice is taken
 * before it is sent. One that cannot be sent is tried again, a bounded number of times, and so is one whose worker died with it in
 * hand, always under the same key.
 */
export function startApprovalNotices(deps: ApprovalNoticesDeps, bounds: NoticeTries): { kick: () => void; stop: () => Promise<void> } {
  const stopping = new AbortController();
  const sending = new Set<Promise<void>>();
  const fault = createFaultLog(deps, 'approval_notices.failed');
  const round = async (): Promise<boolean> => {
    const room = MAX_AT_WORK - sending.size;
    if (room === 0) return false;
    for (const { channel } of await claimReminders(deps.db, room)) if (channel === null) deps.metrics.reminders.inc({ result: 'told' });
    for (const notice of await claimNotices(deps.db, room, LEASE_MS)) {
      const sent: Promise<void> = send(deps, notice, { ...bounds, stopping: stopping.signal })
        .catch(fault)
        .finally(() => {
          sending.delete(sent);
          pump.kick();
        });
      sending.add(sent);
    }
    return false; // who has been sent looks again
  };
  const pump = createPump(round, fault);
  const timer = setInterval(pump.kick, PERIOD_MS);
  return {
    kick: pump.kick,
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
      const patience = setTimeout(() => {
        stopping.abort(new Problem('unavailable'));
      }, PATIENCE_MS);
      await Promise.all(sending);
      clearTimeout(patience);
    },
  };
}

type Sending = NoticeTries & { stopping: AbortSignal };

async function send(deps: ApprovalNoticesDeps, due: DueNotice, given: Sending): Promise<void> {
  const taskId = (await deps.plans.get(due.plan)).plan.graph.names[due.task] ?? '';
  const notice = noticeOf(due.data, due.number);
  await endNotice(
    deps.db,
    due,
    notice && deps.notify ? await trySending({ ...deps, notify: deps.notify }, due, { ...given, notice, taskId }) : {},
  );
}

type Trying = ApprovalNoticesDeps & { notify: Executor };

async function trySending(deps: Trying, due: DueNotice, given: Sending & { notice: Notice; taskId: string }): Promise<NoticeEnd> {
  const { run: runId, workspace, generation, number, tries } = due;
  const { notice, taskId } = given;
  const key = `${effectKey({ run: runId, taskId, item: -1, generation })}/${number === 0 ? 'opened' : `reminder/${number}`}`;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = AbortSignal.any([given.stopping, timeout]);
  try {
    await deps.notify(inputOf(due, given), { runId, workspace, taskId, item: -1, generation, attempt: tries, key, signal });
    deps.metrics.reminders.inc({ result: 'sent' });
    return number === 0 ? { event: { type: 'task.notified', data: { channel: notice.channel, tries } } } : {};
  } catch (error) {
    const problem = timeout.aborted ? new Problem('task_timed_out') : error instanceof Problem ? error : new Problem('internal');
    const end = endOf(problem, { ...given, due, random: deps.random() });
    deps.metrics.reminders.inc({ result: 'retryMs' in end ? 'failed' : 'lost' });
    deps.log.warn({ runId, taskId, number, tries, code: problem.code }, 'approval_notice.failed');
    return end;
  }
}

/** What follows from a try that failed. */
function endOf(problem: Problem, given: NoticeTries & { due: DueNotice; random: number; notice: Notice }): NoticeEnd {
  const { due, delayMs, random } = given;
  const retryable = problem.retryable && contract.failures[problem.code]?.retryable !== false;
  const policy = { limit: given.tries - 1, delayMs, backoff: 2, maxDelayMs: MAX_DELAY_MS, jitter: 0.2 };
  if (retryable && due.tries < given.tries) return { retryMs: Math.round(problem.retryAfterMs ?? retryDelayMs(policy, due.tries, random)) };
  const { code, message } = problem.toFailure();
  const data = { number: due.number, channel: given.notice.channel, tries: due.tries, code, message };
  return { event: { type: 'task.notice_failed', data } };
}

/** What `notify` is given. */
function inputOf({ run, definition, since, number, data }: DueNotice, { taskId, notice }: { taskId: string; notice: Notice }): JsonObject {
  const { message, remind } = data;
  const openSince = new Date(since).toISOString();
  const reminder = number === 0 ? {} : { reminder: number, of: remind?.atMs.length ?? 0 };
  return {
    channel: notice.channel,
    to: notice.to,
    subject: notice.subject ?? `Waits for a decision: ${definition}, ${taskId}`,
    text: notice.text ?? `${message}\n\nRun ${run}, task ${taskId}, open since ${openSince}.`,
    ...(notice.channel === 'webhook' && { data: { approval: { workflow: definition, message, openSince, ...reminder } } }),
  };
}
