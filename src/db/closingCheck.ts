import { Problem } from '../domain/problem.ts';
import type { Rows } from './transaction.ts';

export type ClosingCheck = {
  /** Before something new is started. @throws Problem workspace_closing */
  check: (workspace: string) => Promise<void>;
  /** Forgets what is believed. */
  forget: () => void;
};

/** How long it is believed which workspaces are closing, ms: as long as what anybody may do. */
const BELIEVED_MS = 1_000;

/** Which workspaces start nothing new: few, read at most once a second however many runs are submitted. */
export function createClosingCheck(db: Rows, now: () => number): ClosingCheck {
  let believed: { closing: Promise<ReadonlySet<string>>; at: number } | undefined;
  const read = async (): Promise<ReadonlySet<string>> => {
    const rows = await db.rows<{ id: string }>({
      name: 'workspace_closing',
      text: 'select id from workspace where closing is not null',
      values: [],
    });
    return new Set(rows.map(({ id }) => id));
  };
  const closingNow = () => {
    const at = now();
    if (believed && at - believed.at < BELIEVED_MS && at >= believed.at) return believed.closing;
    const fresh = { closing: read(), at };
    believed = fresh;
    fresh.closing.catch(() => {
      if (believed === fresh) believed = undefined;
    });
    return fresh.closing;
  };
  return {
    check: async (workspace) => {
      if ((await closingNow()).has(workspace)) throw new Problem('workspace_closing');
    },
    forget: () => {
      believed = undefined;
    },
  };
}
