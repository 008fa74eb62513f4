import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import { signedText, type Checkpoint, type Sha256 } from '../../domain/audit/entry.ts';
import { readKeys, type EncryptionKey } from '../encryption/keys.ts';

/** One that says that a checkpoint is genuine. `publicKey`: the 32 bytes of Ed25519, base64url. */
export type AuditPublicKey = { id: string; publicKey: string };

export type AuditKeys = {
  /** With the first key; without keys it stays unsigned. */
  signed: (checkpoint: Omit<Checkpoint, 'keyId' | 'signature'>) => Checkpoint;
  /** Those of all keys, for whoever verifies. */
  publicKeys: readonly AuditPublicKey[];
};

export const sha256: Sha256 = (text) => hash('sha256', text);

/** DER of an Ed25519 private key up to its seed (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const openKey = ({ id, secret }: EncryptionKey) => {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '';
  return { id, privateKey, publicKey };
};

/**
 * Keys that sign the audit, Ed25519, by the settings of this process: an entry is the id and the seed of a key.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export function openAuditKeys(config: { TIU_AUDIT_KEYS?: string | undefined; TIU_AUDIT_KEYS_FILE?: string | undefined }): AuditKeys {
  const keys = readKeys('audit', { text: config.TIU_AUDIT_KEYS, file: config.TIU_AUDIT_KEYS_FILE }).map(openKey);
  const [first] = keys;
  return {
    signed: (checkpoint) => ({
      ...checkpoint,
      keyId: first?.id ?? null,
      signature: first ? sign(null, Buffer.from(signedText(checkpoint)), first.privateKey).toString('base64url') : null,
    }),
    publicKeys: keys.map(({ id, publicKey }) => ({ id, publicKey })),
  };
}

/** Whether one of these keys has signed a checkpoint. */
export function isSignedBy(keys: readonly AuditPublicKey[], checkpoint: Checkpoint): boolean {
  const key = keys.find(({ id }) => id === checkpoint.keyId);
  if (!key || checkpoint.signature === null) return false;
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.publicKey }, format: 'jwk' });
  return verify(null, Buffer.from(signedText(checkpoint)), publicKey, Buffer.from(checkpoint.signature, 'base64url'));
}
