import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;

/**
 * AES-256-GCM: nonce (96 bit, random), tag (128 bit) and the encrypted bytes. `bound` is not in it but has to be the same to
 * decrypt. Random nonces allow 2^32 messages under one key (NIST SP 800-38D). @param secret 32 bytes
 */
export function encrypt(secret: Buffer, bound: Buffer, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(ALGORITHM, secret, nonce).setAAD(bound);
  const encrypted = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]);
}

/** @throws Error when key, `bound` or data are not what they were */
export function decrypt(secret: Buffer, bound: Buffer, data: Buffer): Buffer {
  const decipher = createDecipheriv(ALGORITHM, secret, data.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(bound).setAuthTag(data.subarray(NONCE, NONCE + TAG));
  const opened = decipher.update(data.subarray(NONCE + TAG));
  decipher.final();
  return opened;
}
