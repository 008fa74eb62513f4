import { z } from 'zod';
import { anyJson, page, sha256Text, text, time } from '../../schemas.ts';

const action = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/, 'words of letters, digits and _, with dots between')
  .max(100);
const instant = z.iso.datetime({ offset: true });

export const auditQuery = z.strictObject({
  ...page,
  actor: text(200).optional().meta({ description: '`key:<id>`, `user:<id>`, `system`, …' }),
  action: action.optional().meta({ description: 'The whole action, or what it begins with up to a dot: `run`, `run.cancel`' }),
  object: text(300).optional().meta({ description: '`<kind>:<id>`, or a kind alone' }),
  result: z.enum(['done', 'refused']).optional(),
  since: instant.optional(),
  until: instant.optional().meta({ description: 'Before it' }),
});
export const ownEventsQuery = z.strictObject(page);
export const exportQuery = z.strictObject({
  format: z.enum(['ndjson', 'csv']).default('ndjson'),
  after: z.coerce.number().int().min(0).default(0).meta({ description: 'Number of the entry to begin after; of CSV alone' }),
});

const AuditEntry = z
  .object({
    seq: z.int().meta({ description: 'Its place in the chain of the installation' }),
    hash: sha256Text,
    id: z.string().meta({ format: 'uuid' }),
    at: time,
    actor: z.string(),
    action: z.string(),
    object: z.object({ kind: z.string(), id: z.string() }),
    result: z.enum(['done', 'refused']),
    code: z.string().nullable().meta({ description: 'Of the problem, if it was refused' }),
    requestId: z.string().nullable(),
    address: z.string().nullable(),
    data: anyJson,
    before: anyJson,
    after: anyJson,
  })
  .meta({ id: 'AuditEntry', description: 'Who did what to what, or was refused it' });

export const AuditList = z
  .object({
    items: z.array(AuditEntry),
    nextCursor: z.string().nullable().meta({ description: 'Of the next page, which may be empty; null on the last one' }),
  })
  .meta({ id: 'AuditList' });

const Checkpoint = z
  .object({
    kind: z.enum(['checkpoint', 'cut']),
    seq: z.int(),
    hash: sha256Text,
    at: z.string().meta({ description: 'When it was made; empty before the first entry' }),
    keyId: z.string().nullable(),
    signature: z.string().nullable().meta({ description: 'Ed25519, base64url; null = there was no key' }),
  })
  .meta({ id: 'AuditCheckpoint', description: 'Says that the chain has so many entries, and the hash of the last' });

export const AuditHead = z
  .object({
    head: Checkpoint,
    cut: Checkpoint.nullable().meta({ description: 'What retention has taken away' }),
    keys: z.array(z.object({ id: z.string(), publicKey: z.string().meta({ description: 'Ed25519, 32 bytes, base64url' }) })),
  })
  .meta({ id: 'AuditHead' });
