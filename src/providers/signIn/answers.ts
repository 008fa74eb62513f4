import { createHash } from 'node:crypto';
import { Problem } from '../../domain/problem.ts';

/** The code challenge of a verifier (RFC 7636). */
export const s256 = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url');

/** Everything that is wrong with an answer is one problem: who sent it learns nothing of what we check. */
export const refused = (cause: unknown): Problem =>
  cause instanceof Problem && cause.code === 'sign_in_refused' ? cause : new Problem('sign_in_refused', { cause });
