import { createExecutors } from '../activities/kinds/executors.ts';
import type { Executors } from '../activities/kinds/executor.ts';
import { recordArtifact } from '../db/artifacts.ts';
import type { Database } from '../db/database.ts';
import { createArchives } from '../providers/archive/archives.ts';
import { createHttpClient } from '../providers/http/httpClient.ts';
import { createObjectStore, type ObjectStore } from '../providers/objectStore/objectStore.ts';
import { createSyntax } from '../providers/syntax/syntax.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';

export type OpenedExecutors = { executors: Executors; objects: ObjectStore; close: () => Promise<void> };

/** Executors of all kinds with the providers they stand on: for the worker, and for a task that runs alone. */
export function openExecutors(deps: { db: Pick<Database, 'rows'>; config: Config; clock: Clock }): OpenedExecutors {
  const { config } = deps;
  const objects = createObjectStore({ root: config.TIU_OBJECTS, maxBytes: config.TIU_MAX_UPLOAD });
  const syntax = createSyntax();
  const http = createHttpClient({ allow: config.TIU_HTTP_ALLOW, maxBodyBytes: config.TIU_HTTP_MAX_BODY });
  const executors = createExecutors({
    objects,
    syntax,
    http,
    archives: createArchives({ objects, maxPacked: config.TIU_MAX_UPLOAD }),
    recordArtifact: (workspace, artifact, holder) => recordArtifact(deps.db, workspace, { ...artifact, holder }),
    now: deps.clock.now,
  });
  return {
    executors,
    objects,
    close: async () => {
      await Promise.all([syntax.close(), http.close()]);
    },
  };
}
