import type { Actor } from '../access/can.ts';
import type { JsonObject } from '../json.ts';
import type { Reminders } from './reminders.ts';

/** What an open approval says of itself: data of its wait. */
export type Approval = {
  message: string;
  data?: unknown;
  approvers?: string[];
  onReject: 'fail' | 'continue';
  edit?: JsonObject | boolean;
  remind?: Reminders;
  escalate?: { afterMs: number; approvers: string[] };
};

/** Whether somebody may decide an approval. @param openMs how long it has been open */
export function mayDecide(actor: Actor, { approvers, escalate }: Approval, openMs: number): boolean {
  if (approvers === undefined) return true;
  const all = escalate && openMs >= escalate.afterMs ? [...approvers, ...escalate.approvers] : approvers;
  return all.some((one) => one === actor.principal || (one.startsWith('scope:') && actor.grants.has(one.slice('scope:'.length) as never)));
}
