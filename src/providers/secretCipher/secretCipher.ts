import { Problem } from '../../domain/problem.ts';
import { decrypt, encrypt } from '../encryption/aesGcm.ts';
import { readKeys, type EncryptionKey } from '../encryption/keys.ts';

/** Whose secret it is, and its name: a sealed value opens nowhere else. */
type SecretPlace = { workspace: string; name: string };
/** What the database holds of a value. */
type SealedSecret = { keyId: string; sealed: Buffer };

export type SecretCipher = {
  /** Key that encrypts; null without keys: then there are no secrets. */
  keyId: string | null;
  /** Encrypts with the first key. @throws Problem secrets_not_configured */
  seal: (place: SecretPlace, value: string) => SealedSecret;
  /** Decrypts with whichever key it names. @throws Problem secret_key_unknown | secret_not_opened */
  open: (place: SecretPlace, secret: SealedSecret) => string;
};

/** The number is that of the form of what is bound. */
const FORM = 'tiu-secret-1';
const boundTo = ({ workspace, name }: SecretPlace, keyId: string): Buffer => Buffer.from([FORM, keyId, workspace, name].join('\n'));

/** AES-256-GCM, bound to key id, workspace and name. */
function createSecretCipher(keys: readonly EncryptionKey[]): SecretCipher {
  const [first] = keys;
  return {
    keyId: first?.id ?? null,
    seal: (place, value) => {
      if (!first)
        throw new Problem('secrets_not_configured', { detail: 'Set TIU_SECRET_KEYS or TIU_SECRET_KEYS_FILE for api and workers' });
      return { keyId: first.id, sealed: encrypt(first.secret, boundTo(place, first.id), Buffer.from(value)) };
    },
    open: (place, { keyId, sealed }) => {
      const key = keys.find(({ id }) => id === keyId);
      if (!key) throw new Problem('secret_key_unknown', { detail: `The secret ${place.name} is encrypted with the key ${keyId}` });
      try {
        return decrypt(key.secret, boundTo(place, keyId), sealed).toString();
      } catch (cause) {
        throw new Problem('secret_not_opened', { detail: `The secret ${place.name} does not open with the key ${keyId}`, cause });
      }
    },
  };
}

/**
 * The cipher of this process, by its settings.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export const openSecretCipher = (config: {
  TIU_SECRET_KEYS?: string | undefined;
  TIU_SECRET_KEYS_FILE?: string | undefined;
}): SecretCipher => createSecretCipher(readKeys('secret', { text: config.TIU_SECRET_KEYS, file: config.TIU_SECRET_KEYS_FILE }));
