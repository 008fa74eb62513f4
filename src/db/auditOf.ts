import { auditInto } from './audit.ts';

type Said = { by: number; first: number; data?: string; before?: string; after?: string };

/**
 * Parts of statements that write what was done to rows of one kind: `from` names them in the statement.
 * @returns given the action, `by` = place of who does it, and `first` = that of the values of the audit, the insert of its rows
 */
export const auditOf =
  (of: { from: string; workspace: string; object: string }) =>
  (action: string, { by, first, ...said }: Said): string =>
    auditInto(first, { ...of, actor: `$${by}`, action: `'${action}'`, ...said });
