import { Problem } from '../../domain/problem.ts';
import { decrypt, encrypt } from '../encryption/aesGcm.ts';
import type { EncryptionKey } from '../encryption/keys.ts';
import { payloadFromBytes, payloadToBytes, type Payload } from './payloadBytes.ts';

export type PayloadCipher = {
  /** Key that encrypts; null without keys: then payloads stay in the open. */
  keyId: string | null;
  /** Encrypts with the first key. */
  seal: (payload: Payload) => Payload;
  /** Decrypts with whichever key it names; what was never sealed passes. @throws Problem payload_key_unknown | payload_not_opened */
  open: (payload: Payload) => Payload;
};

/** How a sealed payload is told from others. The number is that of the form below. */
const ENCODING = 'binary/tiu-sealed-1';
const ENCODING_FIELD = 'encoding';
const KEY_FIELD = 'encryption-key-id';

/**
 * A sealed payload is the encrypted Protobuf form of the whole payload, so that its own encoding is hidden too. Encoding and
 * key id stand beside it in the open and are authenticated. 2^32 payloads under one key are some 10^8 runs.
 */
export function createPayloadCipher(keys: readonly EncryptionKey[]): PayloadCipher {
  const known = new Map(keys.map((key) => [key.id, { ...key, bound: boundTo(key.id) }]));
  const [first] = keys;
  return {
    keyId: first?.id ?? null,
    seal: first ? createSeal(first) : (payload) => payload,
    open: (payload) => {
      if (!isSealed(payload)) return payload;
      const id = text(payload.metadata?.[KEY_FIELD]);
      const key = known.get(id);
      if (!key) throw new Problem('payload_key_unknown', { detail: `The payload is sealed with the key ${printable(id)}` });
      return payloadFromBytes(opened(key, bytes(payload.data)));
    },
  };
}

function createSeal({ id, secret }: EncryptionKey): PayloadCipher['seal'] {
  const metadata = { [ENCODING_FIELD]: Buffer.from(ENCODING), [KEY_FIELD]: Buffer.from(id) };
  const bound = boundTo(id);
  return (payload) => ({ metadata, data: encrypt(secret, bound, payloadToBytes(payload)) });
}

const isSealed = (payload: Payload): boolean => text(payload.metadata?.[ENCODING_FIELD]) === ENCODING;

function opened(key: EncryptionKey & { bound: Buffer }, data: Buffer): Buffer {
  try {
    return decrypt(key.secret, key.bound, data);
  } catch (cause) {
    throw new Problem('payload_not_opened', { detail: `The payload does not open with the key ${key.id}`, cause });
  }
}

const boundTo = (id: string): Buffer => Buffer.from(`${ENCODING}\n${id}`);
const bytes = (data: Uint8Array | null | undefined): Buffer =>
  data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0);
const text = (data: Uint8Array | null | undefined): string => bytes(data).toString();
const printable = (id: string): string => id.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
