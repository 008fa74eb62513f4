import { Readable } from 'node:stream';
import { leafOf, type SealedEntry } from '../../../domain/audit/entry.ts';
import type { Link } from '../../../domain/audit/verify.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { readChainState, readLinks, readStrays, type ChainState } from '../../../db/auditChain.ts';
import { sha256 } from '../../../providers/auditKeys/auditKeys.ts';
import { csv } from '../../csv.ts';
import type { Deps } from '../../deps.ts';
import { escaped } from './present.ts';

type ExportDeps = Pick<Deps, 'engine' | 'auditKeys'>;
const PAGE = 1_000;
const FIRST = '00000000-0000-0000-0000-000000000000';

/** In the system workspace everything is shown; elsewhere what is of others shows that it is there, and not what it says. */
const maySee = (workspace: string, entry: SealedEntry): boolean => workspace === SYSTEM_WORKSPACE || entry.workspace === workspace;

async function* pages(deps: ExportDeps, state: ChainState, from: number): AsyncGenerator<Link[]> {
  for (let after = Math.max(from, state.cut?.seq ?? 0); ;) {
    const links = await readLinks(deps.engine, { after, through: state.last, limit: PAGE });
    const last = links.at(-1);
    if (!last) return;
    yield links;
    after = last.seq;
  }
}

/** A cut in the midst of an export would look as if somebody else had cut. @throws Error that ends the stream */
async function refuseIfCut(deps: ExportDeps, before: ChainState): Promise<void> {
  const { cut } = await readChainState(deps.engine);
  if (cut?.seq !== before.cut?.seq) throw new Error('retention has cut the audit meanwhile: ask again');
}

/**
 * The chain as lines of JSON: first `chain` with head, cut, checkpoints and public keys, then each link in order with its entry, or
 * its leaf where the entry is another workspace's, then `stray` for each row without a place, at last `end`.
 */
export async function exportLines(deps: ExportDeps, workspace: string): Promise<Readable> {
  const state = await readChainState(deps.engine);
  const line = (value: object): string => `${escaped(JSON.stringify(value))}\n`;
  const shown = ({ seq, hash, entry }: Link): Link => {
    if (!entry) return { seq, hash };
    return maySee(workspace, entry) ? { seq, hash, entry } : { seq, hash, leaf: leafOf(sha256, entry) };
  };
  async function* lines() {
    yield line({ chain: { ...state, keys: deps.auditKeys.publicKeys } });
    for await (const links of pages(deps, state, 0)) yield links.map((link) => line(shown(link))).join('');
    for (let next: string | null = FIRST; next !== null;) {
      const strays: { seqs: number[]; next: string | null } = await readStrays(deps.engine, { after: next, limit: PAGE });
      if (strays.seqs.length > 0) yield strays.seqs.map((stray) => line({ stray })).join('');
      ({ next } = strays);
    }
    await refuseIfCut(deps, state);
    yield line({ end: state.last });
  }
  return Readable.from(lines(), { objectMode: false });
}

const COLUMNS = ['seq', 'id', 'at', 'workspace', 'actor', 'action', 'object', 'result', 'code', 'request', 'address'] as const;
const JSON_COLUMNS = ['data', 'before', 'after'] as const;

/** Entries of the workspace as a table for people; the head is that of the chain they are part of. */
export async function exportTable(
  deps: ExportDeps,
  { workspace, after }: { workspace: string; after: number },
): Promise<{ table: Readable; head: ChainState['head'] }> {
  const state = await readChainState(deps.engine);
  const names = [...COLUMNS, ...JSON_COLUMNS, 'hash'];
  const row = ({ seq, hash, entry }: Link) => {
    const values = { seq, hash, ...entry } as Record<string, string | number | null>;
    return names.map((name) => (typeof values[name] === 'string' ? escaped(values[name]) : (values[name] ?? null)));
  };
  async function* parts() {
    yield csv(names, []);
    for await (const links of pages(deps, state, after)) {
      const own = links.filter(({ entry }) => entry !== undefined && maySee(workspace, entry));
      if (own.length > 0) yield csv(names, own.map(row)).slice(csv(names, []).length);
    }
    await refuseIfCut(deps, state);
  }
  return { table: Readable.from(parts(), { objectMode: false }), head: state.head };
}
