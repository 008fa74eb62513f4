import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/**
 * Makes the row of an object that is already stored, and names who needs it. Both may be there.
 * @param holder who needs it, such as `run:<id>`
 */
export async function recordArtifact(
  db: Rows,
  workspace: string,
  artifact: { sha256: string; size: number; mediaType: string; name: string; holder: string },
): Promise<void> {
  const { sha256, size, mediaType, name, holder } = artifact;
  const values = [workspace, Buffer.from(sha256, 'hex'), size, mediaType, name, holder];
  await db.rows({ name: 'artifact_record', text: RECORD, values });
}

/** What was only claimed so far gets the name and type of its first use. */
const RECORD = `
with made as (
  insert into artifact as a (workspace, sha256, size, media_type, name, created, created_by)
  values ($1, $2, $3, $4, $5, clock_timestamp(), $6)
  on conflict (workspace, sha256) do update set deleting = null, media_type = excluded.media_type, name = excluded.name where a.deleting is not null
)
insert into artifact_ref (workspace, sha256, holder, created) values ($1, $2, $6, clock_timestamp()) on conflict do nothing`;

/**
 * Says that an object is about to be put at its place, which keeps a collector away from it until its grace is over. Waits for
 * one that is deleting it right now. A new row counts as deleted until somebody records the artifact or an output names it.
 */
export async function claimObject(db: Rows, workspace: string, object: { sha256: string; size: number }): Promise<void> {
  await db.rows({
    name: 'object_claim',
    text: `insert into artifact (workspace, sha256, size, media_type, created, created_by, deleting, touched)
      values ($1, $2, $3, 'application/octet-stream', clock_timestamp(), '', clock_timestamp(), clock_timestamp())
      on conflict (workspace, sha256) do update set touched = excluded.touched`,
    values: [workspace, Buffer.from(object.sha256, 'hex'), object.size],
  });
}
