import { processOf } from '../../../tests/chaos/support/processOf.ts';
import { until } from '../../../tests/support/until.ts';
import type { Cluster } from '../../../tests/chaos/support/cluster.ts';

/**
 * A commit at which whoever makes it stands still: that of this event of a run, of its task if one is named; or of the row that
 * says that the run is to be told (`poke.claimed`, `poke.told`); or of the answer that is kept under a key (`answer.kept`).
 */
export type Place = { type: string; run?: string; task?: number; key?: string };

/** Somebody stands at the gate, with everything that he has written but not committed. */
type Held = {
  /** The process that waits for its commit. */
  pid: number;
  /** Whoever has died: rolls back what his session has done, or lets it come to its commit, of which nobody will hear. */
  open: (how: 'before' | 'after') => Promise<void>;
};

export type Gate = {
  /** Resolves when somebody has come to the place. @param among processes that may */
  held: (among: () => readonly number[], ms?: number) => Promise<Held>;
  /** Nobody is held any more, whether somebody came or not. */
  close: () => Promise<void>;
};

const CLASS = 1_414_089_045;
/** Later than any event. */
const ANY = '9007199254740991';

/**
 * Triggers that look for the gates that are armed. What they wait for is an advisory lock of the harness: inside a transaction,
 * so that the step is stopped exactly between its statement and its commit; without the product knowing anything of it.
 */
const TRIGGERS = `
create table chaos_gate (id int generated always as identity primary key, type text not null, run uuid, task int, key text, since bigint not null);
create function chaos_hold(p_type text, p_run uuid, p_task int, p_key text, p_seq bigint) returns void language plpgsql volatile security definer set search_path = public set lock_timeout = 0 as $$
declare g int; begin
  for g in select x.id from chaos_gate x where x.type = p_type and x.run is not distinct from p_run and x.key is not distinct from p_key
    and (x.task is null or x.task = p_task) and p_seq > x.since loop
    perform pg_advisory_xact_lock_shared(${CLASS}, g);
  end loop;
end $$;
create function chaos_event() returns trigger language plpgsql as $$
begin perform chaos_hold(new.type, new.run, new.task, null, new.seq); return new; end $$;
create trigger chaos_event before insert on run_event for each row execute function chaos_event();
create function chaos_untold() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then perform chaos_hold('poke.told', old.run, null, null, ${ANY}); return old; end if;
  if new.poke_after is not null then perform chaos_hold('poke.claimed', new.run, null, null, ${ANY}); end if;
  return new;
end $$;
create trigger chaos_untold before update or delete on untold for each row execute function chaos_untold();
create function chaos_answer() returns trigger language plpgsql as $$
begin perform chaos_hold('answer.kept', null, null, new.key, ${ANY}); return new; end $$;
create trigger chaos_answer before update on idempotency for each row execute function chaos_answer();`;

export async function installGates(cluster: Cluster): Promise<void> {
  const owner = await cluster.connect();
  await owner.query(TRIGGERS);
  await owner.end();
}

/** Arms a gate. What was committed before does not count. */
export async function armGate(cluster: Cluster, { type, run, task, key }: Place): Promise<Gate> {
  const holder = await cluster.connect();
  const { rows } = await holder.query<{ id: number }>(
    `insert into chaos_gate (type, run, task, key, since) values ($1, $2, $3, $4, coalesce((select last_seq from run_state where run_state.run = $2), 0)) returning id`,
    [type, run ?? null, task ?? null, key ?? null],
  );
  const id = rows[0]?.id ?? 0;
  await holder.query('select pg_advisory_lock($1, $2)', [CLASS, id]);
  const close = async (): Promise<void> => {
    await holder.query('delete from chaos_gate where id = $1', [id]).catch(() => undefined);
    await holder.end().catch(() => undefined);
  };
  const postgres = Number(new URL(cluster.env.DATABASE_URL ?? '').port);
  return {
    close,
    held: async (among, ms) => {
      const session = await until(`somebody comes to ${type}`, () => waiting(cluster, id), ms);
      const pid = processOf({ near: session.port, far: postgres }, among());
      if (pid === undefined) throw new Error(`nobody holds the session that waits at ${type}`);
      return {
        pid,
        open: async (how) => {
          // rolled back before anybody else can take the step
          if (how === 'before') await holder.query('select pg_terminate_backend($1, 5000)', [session.backend]);
          await close();
        },
      };
    },
  };
}

async function waiting(cluster: Cluster, id: number): Promise<{ backend: number; port: number } | undefined> {
  const [row] = await cluster.rows<{ backend: number; port: number }>(
    `select l.pid as backend, a.client_port as port from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.classid = $1 and l.objid = $2 and not l.granted`,
    [CLASS, id],
  );
  return row;
}
