import type { Database } from './database.ts';

export type ArtifactRow = { sha256: string; size: number; mediaType: string; name: string };

/**
 * Makes the row of a stored object and the reference of its holder (`run:<id>`); both may be there already. The object
 * itself must be durable before.
 */
export function createRecordArtifact(db: Pick<Database, 'rows'>) {
  return async (workspace: string, artifact: ArtifactRow, holder: string): Promise<void> => {
    await db.rows({
      name: 'record_artifact',
      text: `with made as (
          insert into artifact (workspace, sha256, size, media_type, name, created, created_by) values ($1, decode($2, 'hex'), $3, $4, $5, clock_timestamp(), $6)
          on conflict (workspace, sha256) do update set deleting = null returning workspace, sha256)
        insert into artifact_ref (workspace, sha256, holder, created) select workspace, sha256, $6, clock_timestamp() from made on conflict do nothing`,
      values: [workspace, artifact.sha256, artifact.size, artifact.mediaType, artifact.name, holder],
    });
  };
}
