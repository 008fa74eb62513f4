import { fitsSchema } from '../domain/definition/jsonSchema.schema.ts';
import type { Json, JsonSchema } from '../domain/json.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;
export type EventName = { workspace: string; name: string; key: string };

/** Of those who wait for an event, as they were written; text, so that the database can compare them. */
async function schemasOf(db: Rows, of: EventName): Promise<string[]> {
  const rows = await db.rows<{ schema: string }>({
    name: 'event_schemas',
    text: `select distinct w.data->>'schema' as schema from wait w where w.workspace = $1 and w.event_name = $2 and w.event_key = $3 and w.kind = 'event'
      and not w.closed and w.decision is null and w.data->'schema' is not null limit 1000`,
    values: [of.workspace, of.name, of.key],
  });
  return rows.map((row) => row.schema);
}

/** Schemas of those who wait that a payload does not match. */
export async function misfits(db: Rows, of: EventName, payload: Json): Promise<JsonSchema[]> {
  const schemas = (await schemasOf(db, of)).map((text) => JSON.parse(text) as JsonSchema);
  return schemas.filter((schema) => !fitsSchema(schema, payload));
}

type StoredEvent = EventName & { id: string; payload: Json };

/**
 * Gives an event that nobody has taken to all who wait for it. Asked after an event and after a wait has become durable, so
 * that one of the two sees the other. Whose schema it does not match fails.
 * @returns the runs that it was given to; they will be poked
 */
async function giveEvent(db: Rows, event: StoredEvent): Promise<string[]> {
  const schemas = await schemasOf(db, event);
  const [fit, misfit] = [true, false].map((wanted) =>
    schemas.filter((text) => fitsSchema(JSON.parse(text) as JsonSchema, event.payload) === wanted),
  );
  const rows = await db.rows<{ run: string }>({
    name: 'match_event',
    text: 'select run from match_event_v1($1, $2, $3, $4) as run',
    values: [event.workspace, event.id, fit, misfit],
  });
  return rows.map((row) => row.run);
}

const EVENT = 'workspace, id, name, key, payload';

/** Gives the oldest event of a name and key that nobody has taken to those who wait. @returns the runs that it was given to */
export async function matchEvents(db: Rows, of: EventName): Promise<string[]> {
  const [event] = await db.rows<StoredEvent>({
    name: 'oldest_event',
    text: `select ${EVENT} from event where workspace = $1 and name = $2 and key = $3 and taken is null and expires > clock_timestamp() order by at, id limit 1`,
    values: [of.workspace, of.name, of.key],
  });
  return event ? giveEvent(db, event) : [];
}

/** Events that nobody has taken though somebody waits for them: whoever had to match them has died. @returns the runs that they were given to */
export async function sweepEvents(db: Rows): Promise<string[]> {
  const events = await db.rows<StoredEvent>({
    name: 'left_events',
    text: `select ${EVENT} from event e where e.taken is null and e.at < clock_timestamp() - interval '2 s' and e.expires > clock_timestamp()
      and exists (select from wait w where w.workspace = e.workspace and w.event_name = e.name and w.event_key = e.key and w.kind = 'event' and not w.closed and w.decision is null)
      order by e.at limit 100`,
    values: [],
  });
  const runs: string[] = [];
  for (const event of events) runs.push(...(await giveEvent(db, event)));
  return runs;
}

/** Takes away those that nobody has taken in their time, and those that were taken a day ago. */
export async function expireEvents(db: Rows): Promise<void> {
  const text = `delete from event where (workspace, id) in (
    select workspace, id from event where expires < clock_timestamp() or taken < clock_timestamp() - interval '1 day' limit 1000)`;
  await db.rows({ name: 'expire_events', text, values: [] });
}

export type NewEvent = EventName & { id: string; payload: string; by: string; audit: string; keepDays: number };

/** Stores an event. `same`: one of its id was there already, and says the same. */
export async function storeEvent(db: Rows, event: NewEvent): Promise<{ outcome: 'new' | 'same' | 'other'; at: string }> {
  const [row] = await db.rows<{ outcome: 'new' | 'same' | 'other'; at: string }>({
    name: 'store_event',
    text: 'select outcome, at from store_event_v1($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [event.workspace, event.id, event.name, event.key, event.payload, event.by, event.audit, event.keepDays],
  });
  if (!row) throw new Error('store_event_v1 gave no row');
  return row;
}
