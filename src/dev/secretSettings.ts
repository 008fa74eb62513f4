import path from 'node:path';
import { keptIn, newKey } from './keptIn.ts';

/**
 * The key of the stack's secrets is made once and kept in the folder of all state, unless the settings name others
 * (`TIU_SECRET_KEYS_FILE=` set to nothing: there are no secrets).
 */
export function secretSettings(env: Record<string, string | undefined>, state: string): Record<string, string> {
  if ((env.TIU_SECRET_KEYS ?? env.TIU_SECRET_KEYS_FILE) !== undefined) return {};
  const file = path.join(state, 'secret.keys');
  keptIn(file, newKey);
  return { TIU_SECRET_KEYS_FILE: file };
}
