import type { z } from 'zod';
import type { JsonObject } from '../../../domain/json.ts';
import { Problem } from '../../../domain/problem.ts';
import { definitionOf, issuesOf, TASK_LABEL, type OneTask } from '../../../domain/run/oneTask.ts';
import type { Reply } from '../../route.ts';
import { acceptRun } from '../../runs/acceptRun.ts';
import { presentTaskRun, type PresentedRun } from '../../runs/present.ts';
import type { StartPlace } from '../../runs/startPlace.ts';
import type { CreateTask } from './schemas.ts';

type AcceptCall = Parameters<typeof acceptRun>[0] & { place: StartPlace };

/**
 * Accepts one task: a run of a definition made from it, labelled as such. @param at JSON Pointer of the task in the request
 * @throws Problem as startRun, faults of the definition as those of the request
 */
export async function acceptTask(call: AcceptCall, task: z.output<typeof CreateTask>, at: string): Promise<Reply> {
  const { name, description, type, timeout, deadline, retry, strategy, labels, runId, ...rest } = task;
  const given = { type, with: task.with ?? {}, timeout, deadline, retry, strategy };
  const one = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as OneTask;
  const input: JsonObject = { name, ...(description !== undefined && { description }), type };
  const more = { ...rest, labels: { ...labels, [TASK_LABEL.name]: TASK_LABEL.value } };
  try {
    const reply = await acceptRun(call, {
      ...more,
      input,
      runId,
      place: call.place,
      source: { definition: definitionOf(one) },
      fingerprint: { form: TASK_LABEL.value, input, ...more },
    });
    const body = presentTaskRun(reply.body as PresentedRun, input);
    return { ...reply, body, headers: { ...reply.headers, location: body.links.task } };
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'invalid_definition') throw error;
    throw new Problem('invalid_definition', { detail: error.message, issues: issuesOf(error.issues ?? [], at) });
  }
}
