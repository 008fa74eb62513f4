import path from 'node:path';
import { keptIn, newKey } from './keptIn.ts';

/** Settings of keys, and the file that the stack keeps them in. */
const KEYS = [
  { setting: 'TIU_SECRET_KEYS', file: 'secret.keys' },
  { setting: 'TIU_TOKEN_KEYS', file: 'token.keys' },
  { setting: 'TIU_AUDIT_KEYS', file: 'audit.keys' },
] as const;

/**
 * The keys of the stack's secrets, of its access tokens and of its audit are made once and kept in the folder of all state, unless the
 * settings name others (`TIU_SECRET_KEYS_FILE=` set to nothing: there are no secrets; `TIU_TOKEN_KEYS_FILE=`: nobody signs in).
 */
export function secretSettings(env: Record<string, string | undefined>, state: string): Record<string, string> {
  const missing = KEYS.filter(({ setting }) => (env[setting] ?? env[`${setting}_FILE`]) === undefined);
  return Object.fromEntries(
    missing.map(({ setting, file }) => {
      const kept = path.join(state, file);
      keptIn(kept, newKey);
      return [`${setting}_FILE`, kept];
    }),
  );
}
