import type { Cluster } from '../chaos/support/cluster.ts';
import { until } from '../support/until.ts';

type Fire = { at: string; kind: string; status: string; runId: string | null };
type Schedule = {
  id: string;
  synced: boolean;
  paused: boolean;
  note: string | null;
  counts: { fired: number; missed: number; skipped: number };
};

export type Schedules = ReturnType<typeof aSchedules>;

/** Schedules over HTTP against a cluster. */
export function aSchedules(cluster: Cluster) {
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(`${cluster.apis[0]?.line.url ?? ''}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${cluster.key}`, ...(body && { 'content-type': 'application/json' }) },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
  const get = (id: string) => call<Schedule>('GET', `/schedules/${id}`);
  /** Oldest first. */
  const firesOf = async (id: string) => (await call<{ items: Fire[] }>('GET', `/schedules/${id}/fires?limit=200`)).items.reverse();
  return {
    call,
    get,
    firesOf,
    /** A workflow of one task; `wait` makes its runs take so long. */
    store: (name: string, wait?: string) =>
      call('POST', '/workflows', {
        ...{ dsl: 'tiu/1', name },
        tasks: { a: wait === undefined ? { type: 'transform', with: { value: 1 } } : { type: 'wait', with: { for: wait } } },
      }),
    create: (body: object) => call<Schedule>('POST', '/schedules', body),
    /** Waits until so many more fires have become runs. */
    fired: async (id: string, more: number) => {
      const before = (await until('the api answers', () => get(id).catch(() => undefined))).counts.fired;
      await until(`${more} more fires`, async () =>
        (await get(id).catch(() => undefined))?.counts.fired === undefined
          ? undefined
          : (await get(id)).counts.fired >= before + more || undefined,
      );
    },
    /** When nothing is under way any more: every fire of the schedule, and every run that is open. */
    settled: async (id: string) => {
      const fires = await until('every fire has its run', async () => {
        const rows = await firesOf(id);
        return rows.every(({ status }) => status !== 'pending' && status !== 'buffered') ? rows : undefined;
      });
      const ids = fires.map(({ runId }) => runId).filter((run) => run !== null);
      await until('every run is closed', async () => {
        const open = await cluster.rows('select run from run_state where run = any($1) and finished is null', [ids]);
        return open.length === 0 || undefined;
      });
      return { fires };
    },
  };
}
