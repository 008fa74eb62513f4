import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { signedText, type Checkpoint } from '../domain/audit/entry.ts';
import { createVerifier, type Link, type Verdict, type Verifier } from '../domain/audit/verify.ts';

/** `publicKey`: the 32 bytes of Ed25519, base64url. */
export type PublicKey = { id: string; publicKey: string };

type Chain = { head: Checkpoint; cut?: Checkpoint; checkpoints: Checkpoint[]; keys: PublicKey[]; last: number };
type Line = { chain: Chain } | { stray: number } | { end: number } | Link;

/**
 * Verifies an export of the audit line by line.
 * @param kept a checkpoint that was kept apart, and the keys that are believed instead of those that the export names
 * @throws Error when the export is not whole
 */
export async function verifyExport(
  lines: AsyncIterable<string>,
  kept: { checkpoint: Checkpoint; keys: readonly PublicKey[] } | undefined,
): Promise<Verdict> {
  let verifier: Verifier | undefined;
  for await (const text of lines) {
    const line = JSON.parse(text) as Line;
    if ('chain' in line) verifier = verifierOf(line.chain, kept);
    else if (!verifier) throw new Error('the export has no beginning');
    else if ('stray' in line) verifier.stray(line.stray);
    else if ('end' in line) return verifier.end();
    else verifier.add(line);
  }
  throw new Error('the export has no end');
}

function verifierOf({ head, cut, checkpoints, keys }: Chain, kept: Parameters<typeof verifyExport>[1]): Verifier {
  const believed = kept && kept.keys.length > 0 ? kept.keys : keys;
  const isSigned = believed.length === 0 ? undefined : signedBy(believed);
  const sha256 = (text: string) => hash('sha256', text);
  return createVerifier({ sha256, isSigned }, { head, cut, checkpoints: kept ? [...checkpoints, kept.checkpoint] : checkpoints });
}

function signedBy(keys: readonly PublicKey[]): (checkpoint: Checkpoint) => boolean {
  const opened = new Map<string, KeyObject>(
    keys.map(({ id, publicKey }) => [id, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })]),
  );
  return (checkpoint) => {
    const key = opened.get(checkpoint.keyId ?? '');
    if (!key || checkpoint.signature === null) return false;
    return verify(null, Buffer.from(signedText(checkpoint)), key, Buffer.from(checkpoint.signature, 'base64url'));
  };
}
