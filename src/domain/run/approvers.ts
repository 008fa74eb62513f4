import type { Actor } from '../access/can.ts';
import type { JsonObject } from '../json.ts';
import type { Notice, Reminders } from './reminders.ts';

/** What an open approval says of itself: data of its wait. */
export type Approval = {
  message: string;
  data?: unknown;
  approvers?: string[];
  onReject: 'fail' | 'continue';
  edit?: JsonObject | boolean;
  notify?: Notice;
  remind?: Reminders;
  escalate?: { afterMs: number; approvers: string[] };
};

/** Whether somebody may decide an approval. @param openMs how long it has been open */
export function mayDecide(actor: Actor, { approvers, escalate }: Approval, openMs: number): boolean {
  if (approvers === undefined) return true;
  const all = escalate && openMs >= escalate.afterMs ? [...approvers, ...escalate.approvers] : approvers;
  return all.some((one) => isMeant(actor, one));
}

/** `key:<id>`, `user:<id>`, `user:<name>`, `role:<role>`, `scope:<scope>` */
function isMeant(actor: Actor, approver: string): boolean {
  if (approver === actor.principal) return true;
  const named = approver.slice(approver.indexOf(':') + 1);
  if (approver.startsWith('user:')) return actor.name?.toLowerCase() === named.toLowerCase();
  if (approver.startsWith('role:')) return actor.roles.has(named);
  return approver.startsWith('scope:') && (actor.grants as ReadonlySet<string>).has(named);
}
