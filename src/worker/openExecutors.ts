import { createExecutors } from '../activities/kinds/executors.ts';
import type { Executors } from '../activities/kinds/executor.ts';
import { claimObject, recordArtifact } from '../db/artifacts.ts';
import type { Database } from '../db/database.ts';
import { createArchives } from '../providers/archive/archives.ts';
import { readAllowList, readVisible } from '../providers/command/allowList.ts';
import { openAuditKeys } from '../providers/auditKeys/auditKeys.ts';
import { createPrograms } from '../providers/command/programs.ts';
import { createCircuits, type Circuits } from '../providers/http/circuits.ts';
import { createHttpClient } from '../providers/http/httpClient.ts';
import { createMailer } from '../providers/mail/mailer.ts';
import { createObjectStore, type ObjectStore } from '../providers/objectStore/objectStore.ts';
import { createSyntax } from '../providers/syntax/syntax.ts';
import { readWebhookKeys } from '../providers/webhook/webhookKeys.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';

export type OpenedExecutors = {
  executors: Executors;
  objects: ObjectStore;
  maxOutput: number;
  /** What is known of the hosts that tasks call. */
  circuits: Pick<Circuits, 'states'>;
  close: () => Promise<void>;
};

/** Executors of all kinds with the providers they stand on: for the worker, and for a task that runs alone. */
export function openExecutors(deps: { db: Database; config: Config; clock: Clock }): OpenedExecutors {
  const { config } = deps;
  const objects = createObjectStore({
    root: config.TIU_OBJECTS,
    maxBytes: Math.max(config.TIU_MAX_UPLOAD, config.TIU_MAX_OUTPUT),
    claim: (workspace, object) => claimObject(deps.db, workspace, object),
  });
  const syntax = createSyntax();
  const client = createHttpClient({ allow: config.TIU_HTTP_ALLOW, maxBodyBytes: config.TIU_HTTP_MAX_BODY });
  const circuits = createCircuits(
    { http: client, now: deps.clock.now },
    { failures: config.TIU_CIRCUIT_FAILURES || Infinity, openMs: config.TIU_CIRCUIT_OPEN, max: config.TIU_MAX_CIRCUITS },
  );
  const executors = createExecutors({
    db: deps.db,
    keep: {
      runDays: config.TIU_RETENTION_DAYS,
      auditDays: config.TIU_AUDIT_DAYS,
      objectsMs: config.TIU_OBJECTS_GRACE,
      markedMs: Math.min(60_000, config.TIU_OBJECTS_GRACE),
    },
    exportMs: config.TIU_EXPORT_TTL,
    auditKeys: openAuditKeys(config),
    objects,
    syntax,
    http: circuits,
    mailer: createMailer({ url: config.TIU_SMTP_URL, from: config.TIU_MAIL_FROM }),
    webhookKeys: readWebhookKeys(config.TIU_WEBHOOK_KEYS),
    programs: openPrograms(config),
    maxCommands: config.TIU_MAX_COMMANDS,
    archives: createArchives({ objects, maxPacked: config.TIU_MAX_UPLOAD }),
    recordArtifact: (workspace, artifact, holder) => recordArtifact(deps.db, workspace, { ...artifact, holder }),
    now: deps.clock.now,
  });
  return {
    executors,
    objects,
    circuits,
    maxOutput: config.TIU_MAX_OUTPUT,
    close: async () => {
      await Promise.all([syntax.close(), client.close()]);
    },
  };
}

const openPrograms = (config: Config) =>
  createPrograms({
    allowed: readAllowList(config.TIU_COMMANDS),
    memoryBytes: config.TIU_COMMAND_MEMORY,
    visible: readVisible(config.TIU_COMMAND_PATHS),
    keepBytes: config.TIU_COMMAND_KEEP,
    maxBytes: config.TIU_COMMAND_MAX_OUTPUT,
    graceMs: config.TIU_COMMAND_GRACE,
  });
