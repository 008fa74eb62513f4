import { compileOfPayload } from '../../../domain/hook/eventKey.ts';
import type { HookScheme } from '../../../domain/hook/hook.ts';
import { invalidRequest } from '../../../domain/invalidRequest.ts';
import type { Issue } from '../../../domain/problem.ts';
import { readSealed } from '../../../db/repositories/secrets.ts';
import { deliveryKey } from '../../../providers/webhook/verifyDelivery.ts';
import type { Deps } from '../../deps.ts';

type Wanted = { workspace: string; key: string; secret: string; scheme: HookScheme };

/** That its expressions can be read, and that its secret is one of its scheme. @throws Problem invalid_request | secret_key_unknown | secret_not_opened */
export async function checkHook(deps: Pick<Deps, 'db' | 'secretCipher'>, hook: Wanted): Promise<void> {
  const compiled = compileOfPayload(hook.key);
  const issues: Issue[] = 'issues' in compiled ? compiled.issues.map((issue) => toIssue(issue, '/event/key')) : [];
  const wrong = await secretFault(deps, hook);
  if (wrong) issues.push({ pointer: '/secret', ...wrong });
  if (issues.length > 0) throw invalidRequest(issues);
}

const toIssue = ({ code, message, hint }: { code: string; message: string; hint?: string }, pointer: string): Issue => ({
  ...{ pointer, code, message },
  ...(hint !== undefined && { hint }),
});

async function secretFault(
  { db, secretCipher }: Pick<Deps, 'db' | 'secretCipher'>,
  { workspace, secret, scheme }: Wanted,
): Promise<Pick<Issue, 'code' | 'message'> | undefined> {
  const [row] = await readSealed(db, { workspace, names: [secret] });
  if (!row) return { code: 'unknown_secret', message: 'the workspace has no such secret' };
  if (deliveryKey(scheme, secretCipher.open({ workspace, name: secret }, { keyId: row.key_id, sealed: row.sealed }))) return undefined;
  return { code: 'invalid_value', message: 'must hold the base64 of 24 to 64 bytes, with or without `whsec_`, for this scheme' };
}
