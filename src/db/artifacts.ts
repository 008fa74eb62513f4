import type { Database } from './database.ts';

/**
 * Makes the row of an object that is already stored, and names who needs it. Both may be there.
 * @param holder who needs it, such as `run:<id>`
 */
export async function recordArtifact(
  db: Pick<Database, 'rows'>,
  workspace: string,
  artifact: { sha256: string; size: number; mediaType: string; name: string; holder: string },
): Promise<void> {
  const { sha256, size, mediaType, name, holder } = artifact;
  await db.rows({ name: 'artifact_record', text: RECORD, values: [workspace, Buffer.from(sha256, 'hex'), size, mediaType, name, holder] });
}

const RECORD = `
with made as (
  insert into artifact (workspace, sha256, size, media_type, name, created, created_by)
  values ($1, $2, $3, $4, $5, clock_timestamp(), $6) on conflict do nothing
)
insert into artifact_ref (workspace, sha256, holder, created) values ($1, $2, $6, clock_timestamp()) on conflict do nothing`;
