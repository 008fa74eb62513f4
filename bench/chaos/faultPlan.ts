import { aRandom } from '../../tests/support/aGraph.ts';

/** What is done to the stack, and what it says about it. */
export const FAULTS = {
  'worker-kill': 'kill -9 of one to three of the three workers',
  'worker-stop': 'a worker is stopped (SIGSTOP) and goes on later as a zombie',
  'worker-drain': 'a worker is asked to end (SIGTERM) and replaced',
  'api-kill': 'kill -9 of one or both apis right after they accepted',
  'postgres-kill': 'kill -9 of PostgreSQL, started again',
  'temporal-kill': 'kill -9 of Temporal, started again',
  'temporal-wipe': 'Temporal loses its database',
  operator: 'executions are terminated, cancelled or reset in Temporal by hand',
  'sessions-cut': 'random database sessions are ended (pg_terminate_backend)',
  duplicates: 'the same submit many times at once to both apis',
  'network-cut': 'workers lose their connections to Temporal: closed, or silent',
  'rows-locked': 'a foreign transaction holds the rows of open runs',
  'postgres-stall': 'PostgreSQL stands still (SIGSTOP), as with a disk that does not answer',
  all: 'PostgreSQL, Temporal, an api and all workers are killed at once',
  disk: 'the volumes of PostgreSQL, Temporal and the objects fill up, one after the other',
} as const;

export type FaultKind = keyof typeof FAULTS;

/** `size`, `ms` and `way` say how hard, how long and in which variant, as far as the kind has such. `kills` is how many processes it kills. */
export type Fault = { n: number; kind: FaultKind; kills: number; size: number; ms: number; way: number };

/** How often each comes in a round of all. A full disk takes long and needs a mount: only when asked for. */
const SHARES: Record<FaultKind, number> = {
  'worker-kill': 7,
  'worker-stop': 1,
  'worker-drain': 1,
  'api-kill': 2,
  'postgres-kill': 1,
  'temporal-kill': 1,
  'temporal-wipe': 1,
  operator: 2,
  'sessions-cut': 1,
  duplicates: 1,
  'network-cut': 1,
  'rows-locked': 1,
  'postgres-stall': 1,
  all: 2,
  disk: 1,
};

export const DEFAULT_FAULTS = (Object.keys(FAULTS) as FaultKind[]).filter((kind) => kind !== 'disk');

/** Kinds that kill nobody can never reach a number of kills: after so many rounds they have done enough. */
const ROUNDS_WITHOUT_KILLS = 3;

/**
 * The faults of a seed, in order, until `kills` processes are killed: in rounds that hold each kind, shuffled. The same
 * seed, kinds and number give the same list.
 */
export function planFaults(options: { seed: number; kills: number; kinds: readonly FaultKind[] }): Fault[] {
  const random = aRandom(options.seed);
  const round = options.kinds.flatMap((kind) => Array.from({ length: SHARES[kind] }, () => kind));
  const faults: Fault[] = [];
  let kills = 0;
  for (let rounds = 0; kills < options.kills && (kills > 0 || rounds < ROUNDS_WITHOUT_KILLS); rounds++)
    for (const kind of shuffled(round, random)) {
      if (kills >= options.kills) break;
      const fault = aFault(faults.length + 1, kind, random);
      faults.push(fault);
      kills += fault.kills;
    }
  return faults;
}

function aFault(n: number, kind: FaultKind, random: () => number): Fault {
  const size = [1, 1, 2, 2, 3][Math.floor(random() * 5)] ?? 1;
  const ms = Math.floor(random() * 1_000);
  const way = Math.floor(random() * 12);
  return { n, kind, kills: killsOf(kind, size), size, ms, way };
}

function killsOf(kind: FaultKind, size: number): number {
  switch (kind) {
    case 'worker-kill':
      return size;
    case 'api-kill':
      return Math.min(size, 2);
    case 'postgres-kill':
    case 'temporal-kill':
    case 'temporal-wipe':
      return 1;
    case 'all':
      return 6;
    default:
      return 0;
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [all[i], all[j]];
    if (a !== undefined && b !== undefined) [all[i], all[j]] = [b, a];
  }
  return all;
}
