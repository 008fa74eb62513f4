import { z } from 'zod';
import { anyJson, listOf, maybeTime, page, runIdText, taskId, text, time } from '../../schemas.ts';

const Approval = z
  .object({
    runId: runIdText,
    workflow: z.string(),
    task: taskId,
    message: z.string(),
    data: anyJson,
    approvers: z.array(z.string()).nullable().meta({ description: 'Who may decide; null: everybody who may write runs' }),
    editable: z.boolean().meta({ description: 'Whoever approves may give `edited`' }),
    mine: z.boolean().meta({ description: 'Whoever asks may decide it' }),
    openedAt: time,
    deadlineAt: maybeTime,
    reminders: z.int().meta({ description: 'Times that somebody was to be reminded' }),
    nextReminderAt: maybeTime,
  })
  .meta({ id: 'Approval' });
export const ApprovalList = listOf(Approval).meta({ id: 'ApprovalList' });

export const Approve = z
  .strictObject({
    comment: text(10_000).optional(),
    edited: anyJson.optional().meta({ description: 'What is approved instead, if the approval allows it' }),
  })
  .optional()
  .meta({ id: 'Approve' });
export const Reject = z
  .strictObject({ comment: text(10_000).optional() })
  .optional()
  .meta({ id: 'Reject' });
export const approvalParams = z.object({ id: z.string(), task: z.string() });
export const approvalsQuery = z.strictObject({ ...page });

export const Decided = z
  .object({ runId: runIdText, task: taskId, decision: z.enum(['approved', 'rejected']), by: z.string() })
  .meta({ id: 'Decided' });
