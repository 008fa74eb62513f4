import type { Executor } from '../activities/kinds/executor.ts';
import { effectKey } from '../activities/attempt.ts';
import type { Database } from '../db/database.ts';
import { claimReminders, type DueReminder } from '../db/reminders.ts';
import type { Plans } from '../db/repositories/plans.ts';
import type { JsonObject } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

export type RemindersDeps = {
  db: Pick<Database, 'rows'>;
  plans: Pick<Plans, 'get'>;
  /** How the kind `notify` sends. */
  notify: Executor | undefined;
  log: Log;
  metrics: Pick<WorkerMetrics, 'reminders'>;
  clock: Clock;
};

const PERIOD_MS = 1_000;
/** Under way at once in this process; more stay due. */
const MAX_AT_WORK = 20;
const TIMEOUT_MS = 30_000;
/** What is under way when the worker stops may take so long still. */
const PATIENCE_MS = 3_000;

/**
 * Sends reminders of open approvals. Any number of workers may do so at once: a reminder is taken before it is sent, so each goes out
 * at most once, and one whose sending fails or whose worker dies then is lost. The next one comes.
 */
export function startReminders(deps: RemindersDeps): { kick: () => void; stop: () => Promise<void> } {
  const stopping = new AbortController();
  const sending = new Set<Promise<void>>();
  const fault = createFaultLog(deps, 'reminders.failed');
  const round = async (): Promise<boolean> => {
    const room = MAX_AT_WORK - sending.size;
    if (room === 0) return false;
    const due = await claimReminders(deps.db, room);
    for (const reminder of due) {
      const sent: Promise<void> = send(deps, reminder, stopping.signal)
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

async function send(deps: RemindersDeps, reminder: DueReminder, stopping: AbortSignal): Promise<void> {
  const { remind } = reminder.data;
  const { run: runId, workspace, task, generation, number } = reminder;
  const taskId = (await deps.plans.get(reminder.plan)).plan.graph.names[task] ?? '';
  if (!remind?.channel || !deps.notify) {
    deps.metrics.reminders.inc({ result: 'told' });
    return;
  }
  const key = `${effectKey({ run: runId, taskId, item: -1, generation })}/reminder/${number}`;
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    await deps.notify(noticeOf(reminder, taskId), { runId, workspace, taskId, item: -1, generation, attempt: 1, key, signal });
    deps.metrics.reminders.inc({ result: 'sent' });
  } catch (error) {
    deps.metrics.reminders.inc({ result: 'failed' });
    deps.log.warn({ runId, taskId, number, code: error instanceof Problem ? error.code : 'internal' }, 'reminder.failed');
  }
}

/** What `notify` is given. */
function noticeOf({ run, definition, since, number, data }: DueReminder, taskId: string): JsonObject {
  const { message, remind } = data;
  const openSince = new Date(since).toISOString();
  return {
    channel: remind?.channel ?? 'mail',
    to: remind?.to ?? [],
    subject: remind?.subject ?? `Waits for a decision: ${definition}, ${taskId}`,
    text: remind?.text ?? `${message}\n\nRun ${run}, task ${taskId}, open since ${openSince}.`,
    ...(remind?.channel === 'webhook' && {
      data: { approval: { workflow: definition, message, openSince, reminder: number, of: remind.atMs.length } },
    }),
  };
}
