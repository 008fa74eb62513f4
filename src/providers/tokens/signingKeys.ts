import { createECDH, createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { readKeys } from '../encryption/keys.ts';

/** `kid` is the RFC 7638 thumbprint of the public key; `successor` keys the HMAC of refresh tokens. */
export type SigningKey = {
  kid: string;
  sign: KeyObject;
  verify: KeyObject;
  jwk: { kty: string; crv: string; x: string; y: string };
  successor: Buffer;
};

/**
 * Keys of tokens, by settings that look as those of secrets do. The 32 bytes are the private scalar of a P-256 key.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export const openSigningKeys = (from: { text: string | undefined; file: string | undefined }): Promise<SigningKey[]> =>
  Promise.all(readKeys('token', from).map(signingKey));

async function signingKey({ id, secret }: { id: string; secret: Buffer }): Promise<SigningKey> {
  const curve = createECDH('prime256v1');
  try {
    curve.setPrivateKey(secret);
  } catch {
    throw new Error(`token key ${id}: is no private key of P-256; make another one`);
  }
  const point = curve.getPublicKey();
  const jwk = { kty: 'EC', crv: 'P-256', x: point.toString('base64url', 1, 33), y: point.toString('base64url', 33) };
  return {
    kid: await calculateJwkThumbprint(jwk),
    sign: createPrivateKey({ format: 'jwk', key: { ...jwk, d: secret.toString('base64url') } }),
    verify: createPublicKey({ format: 'jwk', key: jwk }),
    jwk,
    successor: Buffer.from(hkdfSync('sha256', secret, '', 'tiu refresh successor 1', 32)),
  };
}
