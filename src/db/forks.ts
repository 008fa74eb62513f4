import { randomUUIDv7 } from 'node:crypto';
import { Problem } from '../domain/problem.ts';
import { AUDIT, withAudit } from './audit.ts';
import { isRefusal, openConnection } from './connection.ts';
import { bytea, int4, json } from './encode.ts';
import { createNotices } from './notices.ts';
import { concurrencyProblem, isFaulty, problemOf, refusedBy, submitValues, warmed, type Submit, type SubmitsDeps } from './submit.ts';

/** What a run begins with of one that has ended. */
export type Seeds = {
  source: string;
  /** Number of the source's last event when this was decided. */
  seq: number;
  /** Tasks of the new run and of the source, in the order in which they ended there. */
  kept: readonly { task: number; source: number }[];
  /** Mapped tasks that run again, with the items that stay. */
  keepItems: readonly { task: number; source: number }[];
  /** Outputs given by hand, as rows have them. */
  given: readonly { task: number; output?: string; outputRef?: Buffer; outputSize: number }[];
  /** JSON text: what the audit says of it. */
  note: string;
};

/** As of a submit. */
type Outcome = 'new' | 'known' | 'conflict';
type Forked = { outcome: Outcome; runId: string | null };

export type Forks = {
  /**
   * Accepts a run as submitRun does, with what it keeps of another one, in one call.
   * @throws Problem as submitRun; not_found, state_conflict: the source is gone, open, or was open since
   */
  forkRun: (submit: Submit, seeds: Seeds) => Promise<{ outcome: Outcome; runId: string }>;
  close: () => Promise<void>;
};

/** Forks have a connection of their own: one with many rows does not hold up those who start runs. */
export function createForks(deps: SubmitsDeps): Forks {
  const notices = createNotices(deps);
  const connection = openConnection({ url: deps.url, name: 'forks', log: deps.log, ...warmed(deps) });
  const call = async (named: { submit: Submit; runId: string }, seeds: Seeds): Promise<Forked> => {
    const { places, values } = withAudit([...seedValues(seeds), ...submitValues(new Set(), [named])]);
    const text = `select run as "runId", outcome from fork_run_v1(${places})`;
    const [row] = await connection.rows<Forked>({ name: 'fork_run', text, values });
    if (!row) throw new Error('fork_run_v1 gave no row');
    return row;
  };
  return {
    forkRun: async (submit, seeds) => {
      const runId = submit.runId?.toLowerCase() ?? randomUUIDv7();
      const forked = await call({ submit, runId }, seeds).catch((error: unknown) => {
        throw refusalOf(error);
      });
      if (forked.outcome === 'new') notices.tell({ runs: [runId], kicks: ['queued'] });
      return { ...forked, runId: forked.runId ?? runId };
    },
    close: async () => {
      await Promise.all([connection.end(), notices.close()]);
    },
  };
}

const seedValues = ({ source, seq, kept, keepItems, given, note }: Seeds): unknown[] => [
  ...[source, seq, AUDIT, note],
  ...[kept, keepItems].flatMap((list) => [int4(list.map(({ task }) => task)), int4(list.map((one) => one.source))]),
  int4(given.map(({ task }) => task)),
  json(given.map(({ output }) => output)),
  bytea(given.map(({ outputRef }) => outputRef)),
  int4(given.map(({ outputSize }) => outputSize)),
];

function refusalOf(error: unknown): Problem {
  const refused = refusedBy(error);
  if (refused !== undefined) return concurrencyProblem(refused);
  const code = isRefusal(error) ? error.code : undefined;
  if (code === 'TU404') return new Problem('not_found');
  if (code === 'TU412') return new Problem('state_conflict', { detail: 'the run has changed meanwhile: look at it and ask again' });
  return problemOf(error, isFaulty(error));
}
