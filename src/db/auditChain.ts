import type { Checkpoint, SealedEntry } from '../domain/audit/entry.ts';
import type { Link } from '../domain/audit/verify.ts';
import type { Database } from './database.ts';
import { bytea, uuid } from './encode.ts';

type Rows = Pick<Database, 'rows'>;

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const iso = (column: string): string => `to_char(${column} at time zone 'utc', ${ISO})`;

/** An entry as its hash covers it: JSON as the text that it is. */
const ENTRY = `a.id, a.workspace, ${iso('a.at')} as at, a.actor, a.action, a.subject as object, a.result, a.code, a.request, a.address,
  a.data::text as data, a.before::text as before, a.after::text as after`;

const CHECKPOINT = (kind: string) =>
  `${kind} as kind, c.seq::float8 as seq, encode(c.hash, 'hex') as hash, coalesce(${iso('c.at')}, '') as at, c.key as "keyId", translate(rtrim(encode(c.signature, 'base64'), '='), E'+/\\n', '-_') as signature`;

/** The end of the chain. */
export async function readHead(db: Rows): Promise<Checkpoint> {
  const text = `select ${CHECKPOINT(`'checkpoint'`)} from audit_head c`;
  const [head] = await db.rows<Checkpoint>({ name: 'audit_head', text, values: [] });
  if (!head) throw new Error('audit_head has no row');
  return head;
}

export type UnsealedEntry = SealedEntry & { xid: string };

/** Rows that come later in the order of the chain than the last one that was sealed. */
const AFTER_HEAD = '(a.xid, a.id) > ((select h.xid from audit_head h), (select h.id from audit_head h))';

/** What comes next in the chain: rows of transactions below which all have ended, in an order that no later one can change. */
export const readUnsealed = (db: Rows, limit: number): Promise<UnsealedEntry[]> =>
  db.rows<UnsealedEntry>({
    name: 'audit_unsealed',
    text: `select ${ENTRY}, a.xid::text as xid from audit a where ${AFTER_HEAD} and a.xid < pg_snapshot_xmin(pg_current_snapshot()) and not exists (select from audit_seal s where s.id = a.id) order by a.xid, a.id limit $1`,
    values: [limit],
  });

export type Seal = {
  /** The head that the entries follow. */
  after: Pick<Checkpoint, 'seq' | 'hash'>;
  entries: readonly { id: string; workspace: string; hash: string }[];
  /** Of the last entry. */
  xid: string;
  head: Checkpoint;
  /** Whether the head stays as a checkpoint. */
  keep: boolean;
};

/** Gives entries their places and moves the head. @returns false = the head is not as it was read: somebody else seals, and nothing was done */
export async function sealEntries(db: Rows, { after, entries, xid, head, keep }: Seal): Promise<boolean> {
  const rows = await db.rows<{ sealed: boolean }>({
    name: 'audit_seal',
    text: 'select audit_seal_v1($1, $2, $3::text::xid8, $4, $5, $6, $7, $8, $9, $10) as sealed',
    values: [
      ...[
        after.seq,
        Buffer.from(after.hash, 'hex'),
        xid,
        uuid(entries.map(({ id }) => id)),
        uuid(entries.map(({ workspace }) => workspace)),
      ],
      ...[bytea(entries.map(({ hash }) => Buffer.from(hash, 'hex'))), head.at, head.keyId],
      ...[head.signature === null ? null : Buffer.from(head.signature, 'base64url'), keep],
    ],
  });
  return rows[0]?.sealed ?? false;
}

/** In a database that was restored from a dump: rows that had no place there come next. @returns how many; null: it is no such one */
export async function adoptEntries(db: Rows): Promise<number | null> {
  const text = 'select audit_adopt_v1()::float8 as n';
  const rows = await db.rows<{ n: number | null }>({ name: 'audit_adopt', text, values: [] });
  return rows[0]?.n ?? null;
}

/** How many rows wait for their place, and for how long the oldest has, seconds. */
export async function unsealedOf(db: Rows): Promise<{ rows: number; seconds: number }> {
  const rows = await db.rows<{ rows: number; seconds: number }>({
    name: 'audit_waiting',
    text: `select count(*)::float8 as rows, coalesce(extract(epoch from clock_timestamp() - min(x.at)), 0)::float8 as seconds from (
      select a.at from audit a where ${AFTER_HEAD} order by a.xid, a.id limit 10000) x`,
    values: [],
  });
  return rows[0] ?? { rows: 0, seconds: 0 };
}

export type ChainState = {
  head: Checkpoint;
  cut: Checkpoint | undefined;
  checkpoints: Checkpoint[];
  /** The greatest number there is. */
  last: number;
};

/** Everything about the chain but its links. */
export async function readChainState(db: Rows): Promise<ChainState> {
  const rows = await db.rows<Checkpoint & { last: number; head: boolean }>({
    name: 'audit_chain_state',
    text: `select (select max(s.seq) from audit_seal s)::float8 as last, true as head, ${CHECKPOINT(`'checkpoint'`)} from audit_head c
      union all select 0, false, ${CHECKPOINT('c.kind')} from audit_checkpoint c order by head desc, seq`,
    values: [],
  });
  const [first, ...others] = rows.map(({ last, head: isHead, ...checkpoint }) => ({ last, isHead, checkpoint }));
  if (!first?.isHead) throw new Error('audit_head has no row');
  const marks = others.map(({ checkpoint }) => checkpoint);
  return {
    head: first.checkpoint,
    last: Math.max(first.last, first.checkpoint.seq),
    cut: marks.findLast(({ kind }) => kind === 'cut'),
    checkpoints: marks.filter(({ kind }) => kind === 'checkpoint'),
  };
}

type LinkRow = { seq: number; hash: string } & { [field in keyof SealedEntry]: SealedEntry[field] | null };

/** Links in the order of their numbers; a place whose entry is gone has none. */
export async function readLinks(db: Rows, page: { after: number; through: number; limit: number }): Promise<Link[]> {
  const rows = await db.rows<LinkRow>({
    name: 'audit_links',
    text: `select s.seq::float8 as seq, encode(s.hash, 'hex') as hash, ${ENTRY} from (
        select seq, id, hash from audit_seal where seq > $1 and seq <= $2 order by seq limit $3) s left join audit a on a.id = s.id order by s.seq`,
    values: [page.after, page.through, page.limit],
  });
  return rows.map(({ seq, hash, ...entry }) => ({ seq, hash, ...(entry.id !== null && { entry: entry as SealedEntry }) }));
}

/**
 * Rows that have no place though others that came later have: they were not written as all others are.
 * @returns where each would stand, and where to go on; null at the end
 */
export async function readStrays(db: Rows, page: { after: string; limit: number }): Promise<{ seqs: number[]; next: string | null }> {
  const rows = await db.rows<{ id: string; seq: number | null; stray: boolean }>({
    name: 'audit_strays',
    text: `select w.id, w.stray, case when w.stray then coalesce((select min(s.seq) from audit_seal s where s.id > w.id), h.seq + 1)::float8 end as seq from audit_head h
      cross join lateral (select a.id, (a.xid, a.id) <= (h.xid, h.id) and not exists (select from audit_seal s where s.id = a.id) as stray
        from audit a where a.id > $1 order by a.id limit $2) w order by w.id`,
    values: [page.after, page.limit],
  });
  const seqs = rows.flatMap(({ stray, seq }) => (stray && seq !== null ? [seq] : []));
  return { seqs, next: rows.length === page.limit ? (rows.at(-1)?.id ?? null) : null };
}

/** The longest run of sealed rows from the beginning, up to `limit`, that is older than `before`. */
export async function oldPrefix(db: Rows, prefix: { before: Date; limit: number }): Promise<{ seq: number; hash: string } | undefined> {
  const rows = await db.rows<{ seq: number; hash: string }>({
    name: 'audit_old_prefix',
    text: `with w as materialized (select s.seq, s.hash, a.at from (select seq, id, hash from audit_seal order by seq limit $2) s left join audit a on a.id = s.id)
      select w.seq::float8 as seq, encode(w.hash, 'hex') as hash from w
      where w.seq < coalesce((select min(x.seq) from w x where x.at >= $1), 'infinity'::float8) order by w.seq desc limit 1`,
    values: [prefix.before, prefix.limit],
  });
  return rows[0];
}

/** Takes away what was sealed up to a checkpoint and leaves that behind. @returns how many rows went */
export async function cutChain(db: Rows, { cut, before }: { cut: Checkpoint; before: Date }): Promise<number> {
  const rows = await db.rows<{ n: number }>({
    name: 'audit_cut',
    text: 'select audit_cut_v1($1, $2, $3, $4, $5, $6) as n',
    values: [
      ...[cut.seq, Buffer.from(cut.hash, 'hex'), before, cut.at, cut.keyId],
      cut.signature === null ? null : Buffer.from(cut.signature, 'base64url'),
    ],
  });
  return rows[0]?.n ?? 0;
}
