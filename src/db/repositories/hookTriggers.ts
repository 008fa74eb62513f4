import type { Json } from '../../domain/json.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

type Rows = Pick<Database, 'rows'>;

/** What a delivery starts: a run of a stored definition. */
export type HookTriggerRow = {
  definition: string;
  /** Its place in the triggers of the definition, from 0. */
  trigger: number;
  /** With expressions over the payload; null: the payload is the input. */
  input: Json;
  /** That its run is in, by its id. */
  project: string | null;
  /** Whether nothing is started there. */
  archived: boolean;
};

/** Those of one hook, by definition. */
export const listHookTriggers = (db: Rows, hook: { workspace: string; name: string; limit: number }): Promise<HookTriggerRow[]> =>
  db.rows<HookTriggerRow>({
    name: 'hook_triggers',
    text: `select t.definition, t.trigger, t.input, t.project, p.archived is not null as archived
      from hook_trigger t left join project p on p.workspace = t.workspace and p.id = t.project
      where t.workspace = $1 and t.hook = $2 order by t.definition, t.trigger limit $3`,
    values: [hook.workspace, hook.name, hook.limit],
  });

/** Makes these what deliveries start of a definition, and nothing else. @returns full = a hook would have more than `max` */
export async function replaceHookTriggers(
  db: Rows,
  definition: { workspace: string; name: string; by: string },
  { triggers, max }: { triggers: readonly { hook: string; trigger: number; input: Json; project: string | null }[]; max: number },
): Promise<'ok' | 'full'> {
  const rows = await db.rows<{ too_many: boolean }>({
    name: 'hook_triggers_replace',
    text: `with t as (select * from unnest($4::text[], $5::int[], $6::json[], $11::uuid[]) t(hook, trigger, input, project)),
      n as (select coalesce(bool_or(c.n > $7), false) as too_many from (select count(*) as n from (
        select hook from t union all select x.hook from hook_trigger x where x.workspace = $1 and x.definition <> $2 and x.hook in (select hook from t)) a group by a.hook) c),
      d as (delete from hook_trigger x where x.workspace = $1 and x.definition = $2
        and not exists (select from t where t.hook = x.hook and t.trigger = x.trigger) and not (select too_many from n) returning x.hook),
      i as (insert into hook_trigger as x (workspace, hook, definition, trigger, input, project, created, created_by)
        select $1, t.hook, $2, t.trigger, t.input, t.project, clock_timestamp(), $3 from t where not (select too_many from n)
        on conflict (workspace, hook, definition, trigger) do update set input = excluded.input, project = excluded.project
          where x.input::text is distinct from excluded.input::text or x.project is distinct from excluded.project
        returning x.hook),
      c as (select where exists (select from d) or exists (select from i)),
      a as (${auditInto(8, {
        ...{ from: 'c', workspace: '$1::uuid', actor: '$3', action: `'hook.triggers'`, object: `'workflow:' || $2` },
        data: `json_build_object('hooks', (select json_agg(distinct t.hook) from t))`,
      })})
      select too_many from n`,
    values: [
      ...[definition.workspace, definition.name, definition.by],
      ...[triggers.map(({ hook }) => hook), triggers.map(({ trigger }) => trigger)],
      ...[triggers.map(({ input }) => (input === null ? null : JSON.stringify(input))), max, ...auditValues()],
      triggers.map(({ project }) => project),
    ],
  });
  return rows[0]?.too_many ? 'full' : 'ok';
}
