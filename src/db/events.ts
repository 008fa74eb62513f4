import { fitsSchema } from '../domain/definition/jsonSchema.schema.ts';
import type { Json, JsonSchema } from '../domain/json.ts';
import { AUDIT, withAudit } from './audit.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;
export type EventName = { workspace: string; name: string; key: string };

/** What the payload of an event was compared with: schemas as they were written; text, so that the database can compare them. */
export type Compared = { fit: readonly string[]; misfit: readonly string[] };

/** Which schemas of those who wait for an event its payload matches. */
export async function compareEvent(db: Rows, of: EventName, payload: Json): Promise<Compared> {
  const rows = await db.rows<{ schema: string }>({
    name: 'event_schemas',
    text: `select distinct w.data->>'schema' as schema from wait w where w.workspace = $1 and w.event_name = $2 and w.event_key = $3 and w.kind = 'event'
      and not w.closed and w.decision is null and w.data->'schema' is not null limit 1000`,
    values: [of.workspace, of.name, of.key],
  });
  return compare(
    payload,
    rows.map((row) => row.schema),
  );
}

function compare(payload: Json, schemas: readonly string[]): Compared {
  const fits = new Map(schemas.map((text) => [text, fitsSchema(JSON.parse(text) as JsonSchema, payload)]));
  return { fit: schemas.filter((text) => fits.get(text)), misfit: schemas.filter((text) => !fits.get(text)) };
}

type Known = Compared & { id: string };
/** Either it was given to `runs`, or `payload` is still to be compared with `schemas`. */
type Given = { runs: string[]; id: null } | { runs: string[]; id: string; payload: Json; schemas: string[] };

/** Somebody begins to wait with yet another schema in between: so often the payload is compared anew, then whoever sweeps goes on. */
const MAX_ROUNDS = 5;

/**
 * Gives the oldest event of a name and key that nobody has taken to all who wait for it; whose schema it does not match fails.
 * Asked after an event and after a wait has become durable, so that one of the two sees the other.
 * @param known an event that was compared already, as a rule the oldest: then this is one statement
 * @returns the runs that it was given to; they will be poked
 */
export async function giveEvent(db: Rows, of: EventName, known?: Known): Promise<string[]> {
  let compared = known;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const [given] = await db.rows<Given>({
      name: 'give_event',
      text: 'select runs, id, payload, schemas from give_event_v1($1, $2, $3, $4, $5, $6)',
      values: [of.workspace, of.name, of.key, compared?.id ?? null, compared?.fit ?? [], compared?.misfit ?? []],
    });
    if (!given) return [];
    if (given.id === null) return given.runs;
    const before = compared?.id === given.id ? compared : { fit: [], misfit: [] };
    const { fit, misfit } = compare(given.payload, given.schemas);
    compared = { id: given.id, fit: [...before.fit, ...fit], misfit: [...before.misfit, ...misfit] };
  }
  return [];
}

/** Events that nobody has taken though somebody waits for them: whoever had to match them has died. @returns the runs that they were given to */
export async function sweepEvents(db: Rows): Promise<string[]> {
  const left = await db.rows<EventName>({
    name: 'left_events',
    text: `select distinct e.workspace, e.name, e.key from event e where e.taken is null and e.at < statement_timestamp() - interval '2 s' and e.expires > statement_timestamp()
      and exists (select from wait w where w.workspace = e.workspace and w.event_name = e.name and w.event_key = e.key and w.kind = 'event' and not w.closed and w.decision is null)
      limit 100`,
    values: [],
  });
  const runs: string[] = [];
  for (const of of left) runs.push(...(await giveEvent(db, of)));
  return runs;
}

/**
 * Takes away those that nobody has taken in their time, and those that were taken a day ago; what a hook has brought is kept for its
 * whole time, so that the same delivery counts once. Values of secrets that hooks accept no more go too.
 */
export async function expireEvents(db: Rows): Promise<void> {
  const text = `with p as (delete from secret_past where until < statement_timestamp())
    delete from event where (workspace, id) in (
      select workspace, id from event where expires < statement_timestamp() or taken < statement_timestamp() - interval '1 day' and sent_by not like 'hook:%' limit 1000)`;
  await db.rows({ name: 'expire_events', text, values: [] });
}

export type NewEvent = EventName & { id: string; payload: string; by: string; keepDays: number };
export type StoredEvent = { outcome: 'new' | 'same' | 'other'; at: string };

/** Stores an event. `same`: one of its id was there already, and says the same. */
export async function storeEvent(db: Rows, event: NewEvent): Promise<StoredEvent> {
  const { places, values } = withAudit([event.workspace, event.id, event.name, event.key, event.payload, event.by, AUDIT, event.keepDays]);
  const [row] = await db.rows<StoredEvent>({
    name: 'store_event',
    text: `select outcome, at from store_event_v1(${places})`,
    values,
  });
  if (!row) throw new Error('store_event_v1 gave no row');
  return row;
}

/** Whether the event is there already. */
export async function hasEvent(db: Rows, event: { workspace: string; id: string }): Promise<boolean> {
  const text = 'select from event where workspace = $1 and id = $2';
  return (await db.rows({ name: 'has_event', text, values: [event.workspace, event.id] })).length > 0;
}
