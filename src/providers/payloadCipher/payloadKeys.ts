import { readKeys } from '../encryption/keys.ts';
import { createPayloadCipher, type PayloadCipher } from './payloadCipher.ts';

/**
 * The cipher of this process, by its settings; without keys payloads stay in the open.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export const openPayloadCipher = (config: {
  TIU_PAYLOAD_KEYS?: string | undefined;
  TIU_PAYLOAD_KEYS_FILE?: string | undefined;
}): PayloadCipher => createPayloadCipher(readKeys('payload', { text: config.TIU_PAYLOAD_KEYS, file: config.TIU_PAYLOAD_KEYS_FILE }));
