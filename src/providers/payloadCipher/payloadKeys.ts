import fs from 'node:fs';
import { createPayloadCipher, type PayloadCipher, type PayloadKey } from './payloadCipher.ts';

const ENTRY = /^([\w.-]{1,64}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Reads `id:base64` entries between commas or line breaks; the first one encrypts.
 * @throws Error that says which entry is wrong, without any of what it holds
 */
function readPayloadKeys(text: string): PayloadKey[] {
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry, index) => {
      const [, id, secret] = ENTRY.exec(entry) ?? [];
      if (id === undefined || secret === undefined) throw new Error(`payload key ${index + 1}: expected id:base64, the base64 of 32 bytes`);
      return { id, secret: Buffer.from(secret, 'base64') };
    });
  const repeated = keys.find(({ id }, index) => keys.findIndex((other) => other.id === id) !== index);
  if (repeated) throw new Error(`payload keys: the id ${repeated.id} stands there twice`);
  return keys;
}

/**
 * The cipher of this process, by its settings; without keys payloads stay in the open.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export function openPayloadCipher(config: {
  TIU_PAYLOAD_KEYS?: string | undefined;
  TIU_PAYLOAD_KEYS_FILE?: string | undefined;
}): PayloadCipher {
  const file = config.TIU_PAYLOAD_KEYS_FILE;
  const keys = readPayloadKeys(config.TIU_PAYLOAD_KEYS ?? (file === undefined ? '' : fs.readFileSync(file, 'utf8')));
  // Else an emptied file would go unnoticed, with everything in the open from then on.
  if (keys.length === 0 && file !== undefined) throw new Error(`payload keys: ${file} holds none`);
  return createPayloadCipher(keys);
}
