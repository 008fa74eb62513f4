/** Of UTF-8 text; lower case hexadecimal. */
export type Sha256 = (text: string) => string;

/** What an entry says, as its hash covers it. JSON is the text that is stored, times are ISO 8601 with milliseconds. */
export type SealedEntry = {
  id: string;
  workspace: string;
  at: string;
  actor: string;
  action: string;
  /** `<kind>:<id>` */
  object: string;
  result: string;
  /** Of the problem, if it was refused. */
  code: string | null;
  request: string | null;
  address: string | null;
  data: string | null;
  before: string | null;
  after: string | null;
};

/**
 * A statement about the chain that is signed. checkpoint: it has the entries 1 to `seq`, and `hash` is that of the last of them.
 * cut: those were there, and retention has taken them away.
 */
export type Checkpoint = {
  kind: 'checkpoint' | 'cut';
  seq: number;
  hash: string;
  /** When it was made, ISO 8601. */
  at: string;
  /** null: there was no key to sign with. */
  keyId: string | null;
  /** base64url */
  signature: string | null;
};

/** What the first entry follows. */
export const GENESIS = '0'.repeat(64);

const ASCII = /^[\0-\x7f]*$/;
const utf8 = new TextEncoder();
const bytesOf = (text: string): number => (ASCII.test(text) ? text.length : utf8.encode(text).length);

/** Netstrings (D. J. Bernstein): lengths are said, so that nothing reads as something else. `-` is no value. */
const joined = (domain: string, fields: readonly (string | null)[]): string =>
  [domain, ...fields].map((field) => (field === null ? '-,' : `${bytesOf(field)}:${field},`)).join('');

/** What an entry is, whatever its place: this tells nobody what it says. */
export const leafOf = (sha256: Sha256, entry: SealedEntry): string =>
  sha256(
    joined('tiu.audit.entry.1', [
      ...[entry.id, entry.workspace, entry.at, entry.actor, entry.action, entry.object, entry.result, entry.code],
      ...[entry.request, entry.address, entry.data, entry.before, entry.after],
    ]),
  );

/** The hash of a place in the chain. @param previous that of the place before, `GENESIS` for the first */
export const linkOf = (sha256: Sha256, link: { seq: number; previous: string; leaf: string }): string =>
  sha256(joined('tiu.audit.link.1', [String(link.seq), link.previous, link.leaf]));

/** What is signed. */
export const signedText = ({ kind, seq, hash, at }: Omit<Checkpoint, 'keyId' | 'signature'>): string =>
  joined(`tiu.audit.${kind}.1`, [String(seq), hash, at]);
