import fs from 'node:fs';

/** `secret` has 32 bytes. */
export type EncryptionKey = { id: string; secret: Buffer };

const ENTRY = /^([\w.-]{1,64}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Keys as settings hold them: `id:base64` entries between commas or line breaks, as text or in a file. The first one encrypts,
 * all decrypt. @param what names them in errors, such as `payload`
 * @throws Error that says which entry is wrong, without any of what it holds, or that the file cannot be read or holds none
 */
export function readKeys(what: string, from: { text: string | undefined; file: string | undefined }): EncryptionKey[] {
  const { file } = from;
  const keys = parse(what, from.text ?? (file === undefined ? '' : fs.readFileSync(file, 'utf8')));
  // Else an emptied file would go unnoticed, with everything in the open from then on.
  if (keys.length === 0 && file !== undefined) throw new Error(`${what} keys: ${file} holds none`);
  return keys;
}

function parse(what: string, text: string): EncryptionKey[] {
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry, index) => {
      const [, id, secret] = ENTRY.exec(entry) ?? [];
      if (id === undefined || secret === undefined) throw new Error(`${what} key ${index + 1}: expected id:base64, the base64 of 32 bytes`);
      return { id, secret: Buffer.from(secret, 'base64') };
    });
  const repeated = keys.find(({ id }, index) => keys.findIndex((other) => other.id === id) !== index);
  if (repeated) throw new Error(`${what} keys: the id ${repeated.id} stands there twice`);
  return keys;
}
