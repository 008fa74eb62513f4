import { Problem, type Issue } from '../../domain/problem.ts';
import type { NamedArtifact } from '../../domain/run/prepareRun.schema.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

export type ArtifactRow = { workspace: string; sha256: string; size: number; media_type: string; name: string | null; created: string };

const COLUMNS = `workspace, encode(sha256, 'hex') as sha256, size::float8 as size, media_type, name, created`;

/** Records an object that is in the store. The same content again keeps its first row, unless that was only claimed or being deleted. */
export async function recordArtifact(
  db: Database,
  artifact: { workspace: string; sha256: string; size: number; mediaType: string; name: string | undefined; by: string },
): Promise<ArtifactRow & { fresh: boolean }> {
  const rows = await db.rows<ArtifactRow & { fresh: boolean }>({
    name: 'artifact_record',
    text: `with was as (select from artifact where workspace = $1 and sha256 = $2 and deleting is null),
      r as (insert into artifact as a (workspace, sha256, size, media_type, name, created, created_by, touched)
        values ($1, $2, $3, $4, $5, clock_timestamp(), $6, clock_timestamp())
        on conflict (workspace, sha256) do update set deleting = null, touched = excluded.touched,
          media_type = case when a.deleting is null then a.media_type else excluded.media_type end,
          name = case when a.deleting is null then a.name else excluded.name end,
          created = case when a.deleting is null then a.created else excluded.created end,
          created_by = case when a.deleting is null then a.created_by else excluded.created_by end
        returning *),
      n as (select * from r where not exists (select from was)),
      u as (${auditInto(7, {
        ...{
          from: 'n',
          workspace: 'n.workspace',
          actor: '$6',
          action: `'artifact.upload'`,
          object: `'artifact:' || encode(n.sha256, 'hex')`,
        },
        data: `json_build_object('size', n.size, 'type', n.media_type)`,
      })})
      select ${COLUMNS}, not exists (select from was) as fresh from r`,
    values: [
      artifact.workspace,
      Buffer.from(artifact.sha256, 'hex'),
      artifact.size,
      artifact.mediaType,
      artifact.name ?? null,
      artifact.by,
      ...auditValues(),
    ],
  });
  const row = rows[0];
  if (!row) throw new Error('an upsert returned no row');
  return row;
}

export async function findArtifact(db: Database, key: { workspace: string; sha256: string }): Promise<ArtifactRow | undefined> {
  const rows = await db.rows<ArtifactRow>({
    name: 'artifact_find',
    text: `select ${COLUMNS} from artifact where workspace = $1 and sha256 = $2 and deleting is null`,
    values: [key.workspace, Buffer.from(key.sha256, 'hex')],
  });
  return rows[0];
}

/** Hashes of the artifacts that an input names, for holding them as long as the run needs them. @throws Problem invalid_run_input */
export async function heldArtifacts(db: Pick<Database, 'rows'>, workspace: string, named: readonly NamedArtifact[]): Promise<Buffer[]> {
  if (named.length === 0) return [];
  const valid = named.filter(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256));
  const missing = new Set(await missingArtifacts(db, { workspace, hashes: valid.map(({ sha256 }) => sha256) }));
  const issues: Issue[] = named
    .filter((name) => missing.has(name.sha256) || !valid.includes(name))
    .map(({ field }) => ({ pointer: `/${field}`, code: 'artifact_not_found', message: 'names no artifact of this workspace' }));
  if (issues.length > 0) throw new Problem('invalid_run_input', { detail: `${issues.length} faults`, issues });
  return valid.map(({ sha256 }) => Buffer.from(sha256, 'hex'));
}

/** Those of `hashes` (hex) that the workspace has no artifact for. */
async function missingArtifacts(db: Pick<Database, 'rows'>, scope: { workspace: string; hashes: string[] }): Promise<string[]> {
  const rows = await db.rows<{ sha: string }>({
    name: 'artifact_missing',
    text: `select encode(h, 'hex') as sha from unnest($2::bytea[]) h where not exists (select from artifact a where a.workspace = $1 and a.sha256 = h and a.deleting is null)`,
    values: [scope.workspace, scope.hashes.map((hash) => Buffer.from(hash, 'hex'))],
  });
  return rows.map((row) => row.sha);
}
