import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

export type DefinitionRow = {
  workspace: string;
  name: string;
  number: number;
  version: string | null;
  /** hex, as is `plan` */
  hash: string;
  title: string | null;
  plan: string;
  created: string;
  created_by: string;
};

const COLUMNS = `workspace, name, number, version, encode(hash, 'hex') as hash, title, encode(plan, 'hex') as plan, created, created_by`;

export type NewDefinition = {
  workspace: string;
  name: string;
  version: string | undefined;
  title: string | undefined;
  hash: Buffer;
  source: string;
  mediaType: string;
  plan: { hash: Buffer; body: string };
  by: string;
};

/**
 * Stores a definition as the next version of its name, with its plan, unless the newest version says the same already.
 * @returns the version, and whether it is new
 */
export async function storeDefinition(db: Database, definition: NewDefinition): Promise<DefinitionRow & { fresh: boolean }> {
  const rows = await db.rows<DefinitionRow>({
    name: 'definition_store',
    text: `with p as (insert into plan (hash, body, created) values ($8, $9, clock_timestamp()) on conflict do nothing),
      n as (select coalesce(max(number), 0) + 1 as number from definition where workspace = $1 and name = $2),
      stored as (insert into definition (workspace, name, number, version, hash, title, source, media_type, plan, created, created_by)
      select $1, $2, n.number, $3, $4, $5, $6, $7, $8, clock_timestamp(), $10 from n
      on conflict do nothing returning *),
      a as (${auditInto(11, {
        ...{ from: 'stored', workspace: 'workspace', actor: 'created_by', action: `'workflow.store'` },
        object: `'workflow:' || name || '/' || number`,
      })})
      select ${COLUMNS} from stored`,
    values: [
      definition.workspace,
      definition.name,
      definition.version ?? null,
      definition.hash,
      definition.title ?? null,
      definition.source,
      definition.mediaType,
      definition.plan.hash,
      definition.plan.body,
      definition.by,
      ...auditValues(),
    ],
  });
  if (rows[0]) return { ...rows[0], fresh: true };
  const known = await db.rows<DefinitionRow>({
    name: 'definition_by_hash',
    text: `select ${COLUMNS} from definition where workspace = $1 and name = $2 and hash = $3`,
    values: [definition.workspace, definition.name, definition.hash],
  });
  // nothing inserted and nothing there: another request took the number
  return known[0] ? { ...known[0], fresh: false } : storeDefinition(db, definition);
}

/** The newest version of each name, by name. @param page.after last name of the page before */
export async function listDefinitions(db: Database, page: { workspace: string; after: string; limit: number }): Promise<DefinitionRow[]> {
  return db.rows<DefinitionRow>({
    name: 'definition_list',
    text: `select distinct on (name) ${COLUMNS} from definition where workspace = $1 and name > $2 order by name, number desc limit $3`,
    values: [page.workspace, page.after, page.limit],
  });
}

/** Versions of a name, newest first. @param page.before number of the last one of the page before */
export async function listVersions(
  db: Database,
  page: { workspace: string; name: string; before: number; limit: number },
): Promise<DefinitionRow[]> {
  return db.rows<DefinitionRow>({
    name: 'definition_versions',
    text: `select ${COLUMNS} from definition where workspace = $1 and name = $2 and number < $3 order by number desc limit $4`,
    values: [page.workspace, page.name, page.before, page.limit],
  });
}

/**
 * One version with its source: by its number, its own `version` (the newest that bears it), or the newest of all.
 */
export async function findDefinition(
  db: Pick<Database, 'rows'>,
  key: { workspace: string; name: string; version: string | number | undefined },
): Promise<(DefinitionRow & { source: string; media_type: string }) | undefined> {
  const rows = await db.rows<DefinitionRow & { source: string; media_type: string }>({
    name: 'definition_find',
    text: `select ${COLUMNS}, source, media_type from definition where workspace = $1 and name = $2 and ($3::int is null or number = $3)
      and ($4::text is null or version = $4) order by number desc limit 1`,
    values: [
      key.workspace,
      key.name,
      typeof key.version === 'number' ? key.version : null,
      typeof key.version === 'string' ? key.version : null,
    ],
  });
  return rows[0];
}
