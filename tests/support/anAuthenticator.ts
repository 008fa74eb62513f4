import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

type Options = { challenge: string };
type Lies = { origin?: string; rpId?: string; challenge?: string; counter?: number; unverified?: true; key?: KeyObject; type?: string };

const b64 = (bytes: Buffer): string => bytes.toString('base64url');
const flagsOf = (attested: boolean, { unverified }: Lies): number => 0x01 | (unverified ? 0 : 0x04) | (attested ? 0x40 : 0);
const sha256 = (data: Buffer | string): Buffer => createHash('sha256').update(data).digest();

/** CBOR (RFC 8949) as far as an authenticator needs it. */
function cbor(value: number | string | Buffer | Map<number | string, unknown>): Buffer {
  const head = (major: number, n: number): Buffer =>
    n < 24
      ? Buffer.from([(major << 5) | n])
      : n < 256
        ? Buffer.from([(major << 5) | 24, n])
        : Buffer.from([(major << 5) | 25, n >> 8, n & 255]);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, item]) => [cbor(key), cbor(item as number)])]);
}

/** A public key as authenticators hand it out (RFC 9053, ES256). */
function coseOf(publicKey: KeyObject): Buffer {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const numbers: [number, number][] = [
    [1, 2],
    [3, -7],
    [-1, 1],
  ];
  const points: [number, Buffer][] = [
    [-2, Buffer.from(x, 'base64url')],
    [-3, Buffer.from(y, 'base64url')],
  ];
  return cbor(new Map<number, number | Buffer>([...numbers, ...points]));
}

/** An authenticator in software that speaks WebAuthn (level 3) as browsers hand it on: ES256, no attestation. */
export function anAuthenticator({ origin, rpId }: { origin: string; rpId: string }) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = randomBytes(32);
  let counter = 0;
  let userHandle = '';
  const clientData = (type: string, options: Options, lies: Lies) =>
    Buffer.from(
      JSON.stringify({
        type: lies.type ?? type,
        challenge: lies.challenge ?? options.challenge,
        origin: lies.origin ?? origin,
        crossOrigin: false,
      }),
    );
  const head = (attested: boolean, lies: Lies): Buffer => {
    counter = lies.counter ?? counter + 1;
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    return Buffer.concat([sha256(lies.rpId ?? rpId), Buffer.from([flagsOf(attested, lies)]), count]);
  };
  const envelope = { id: b64(id), rawId: b64(id), type: 'public-key' as const, clientExtensionResults: {} };
  return {
    id: b64(id),
    /** Makes its one passkey. */
    create: (options: Options & { user: { id: string } }, lies: Lies = {}) => {
      userHandle = options.user.id;
      const length = Buffer.from([0, id.length]);
      const authData = Buffer.concat([head(true, lies), Buffer.alloc(16), length, id, coseOf(publicKey)]);
      const attestationObject = cbor(
        new Map<string, unknown>([
          ['fmt', 'none'],
          ['attStmt', new Map()],
          ['authData', authData],
        ]),
      );
      const clientDataJSON = clientData('webauthn.create', options, lies);
      return {
        ...envelope,
        response: { clientDataJSON: b64(clientDataJSON), attestationObject: b64(attestationObject), transports: ['internal'] },
      };
    },
    /** Shows it. */
    get: (options: Options, lies: Lies = {}) => {
      const clientDataJSON = clientData('webauthn.get', options, lies);
      const authenticatorData = head(false, lies);
      const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(clientDataJSON)]), lies.key ?? privateKey);
      return {
        ...envelope,
        response: { clientDataJSON: b64(clientDataJSON), authenticatorData: b64(authenticatorData), signature: b64(signature), userHandle },
      };
    },
  };
}
