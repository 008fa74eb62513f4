import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { keptIn, newKey } from './keptIn.ts';

export type CodecSettings = {
  /** Settings of api and workers. */
  env: Record<string, string>;
  /** Where the Temporal UI asks; undefined when payloads are plain. */
  endpoint: string | undefined;
};

/**
 * Payloads in Temporal are sealed unless the settings say otherwise (`TIU_PAYLOAD_KEYS_FILE=` set to nothing): with a key that
 * is made once and kept in the folder of all state. The development UI has no sign-in, so its way to the codec server is a token.
 * @param place.port of the api
 */
export function codecSettings(env: Record<string, string | undefined>, place: { state: string; port: number }): CodecSettings {
  const keysFile = path.join(place.state, 'payload.keys');
  const isSet = env.TIU_PAYLOAD_KEYS ?? env.TIU_PAYLOAD_KEYS_FILE;
  if (isSet === '') return { env: {}, endpoint: undefined };
  if (isSet === undefined) keptIn(keysFile, newKey);
  const token = env.TIU_CODEC_TOKEN ?? keptIn(path.join(place.state, 'codec.token'), () => randomBytes(32).toString('base64url'));
  const base = env.TIU_PUBLIC_URL ?? `http://127.0.0.1:${place.port}`;
  return {
    env: { TIU_CODEC_TOKEN: token, ...(isSet === undefined ? { TIU_PAYLOAD_KEYS_FILE: keysFile } : {}) },
    endpoint: `${base}/api/v1/codec/${token}`,
  };
}
