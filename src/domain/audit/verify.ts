import { GENESIS, leafOf, linkOf, type Checkpoint, type SealedEntry, type Sha256 } from './entry.ts';

/** A place in the chain: with its entry; with its leaf alone, if the reader may not see the entry; or with nothing, if that is gone. */
export type Link = { seq: number; hash: string; entry?: SealedEntry; leaf?: string };

/** Why a chain does not hold. */
type FaultReason =
  /** There is a number too many, or numbers are out of order. */
  | 'out_of_order'
  /** There is no entry in this place, or the place itself is gone. */
  | 'entry_missing'
  | 'entry_changed'
  /** An entry that has no place in the chain. */
  | 'entry_inserted'
  /** Somewhere from here to the checkpoint the chain was made anew. */
  | 'checkpoint_differs'
  /** Nobody who has a key says that the chain ends here, or that retention has cut it here. */
  | 'not_signed';

export type Verdict = {
  /** Places that were looked at. */
  entries: number;
  /** Numbers of the first and of the last one that there should be. */
  from: number;
  through: number;
  /** The first fault; null: everything is as it was written. */
  fault: { seq: number; reason: FaultReason } | null;
  /** Whether signatures were looked at: without keys whoever owns the database can make the chain anew. */
  signed: boolean;
};

type VerifyDeps = {
  sha256: Sha256;
  /** Whether somebody who has a key has signed it; undefined = no keys are known. */
  isSigned: ((checkpoint: Checkpoint) => boolean) | undefined;
};

/** What is known of a chain besides its links. */
type Known = {
  /** Where it ends. */
  head: Checkpoint;
  /** Where retention has cut it. */
  cut: Checkpoint | undefined;
  /** Those kept in the database and those kept apart, in any order. */
  checkpoints: readonly Checkpoint[];
};

export type Verifier = {
  /** The next link in the order of numbers. @returns false once a fault is found: there is no need of more */
  add: (link: Link) => boolean;
  /** An entry without a place. @param seq of the place it would have */
  stray: (seq: number) => void;
  end: () => Verdict;
};

/** Checks a chain link by link, from its cut or its beginning to its head. It holds one link at a time. */
export function createVerifier(deps: VerifyDeps, { head, cut, checkpoints }: Known): Verifier {
  const base = cut?.seq ?? 0;
  const marks = new Map<number, Checkpoint[]>();
  for (const mark of [...checkpoints, head]) marks.set(mark.seq, [...(marks.get(mark.seq) ?? []), mark]);
  const last = Math.max(head.seq, ...[...marks.keys()]);
  const found: { fault: Verdict['fault'] } = { fault: null };
  const holds = () => found.fault === null;
  let at = { seq: base, hash: cut?.hash ?? GENESIS };
  let proved = base;
  const fail = (seq: number, reason: FaultReason) => {
    if (found.fault === null || seq < found.fault.seq) found.fault = { seq, reason };
  };
  const forged = (mark: Checkpoint) => deps.isSigned !== undefined && !deps.isSigned(mark);
  const compare = () => {
    const from = proved + 1;
    for (const mark of marks.get(at.seq) ?? []) {
      if (mark.hash !== at.hash) fail(from, 'checkpoint_differs');
      else if (mark.signature !== null && forged(mark)) fail(at.seq, 'not_signed');
      else proved = at.seq;
    }
  };
  if (cut && forged(cut)) fail(cut.seq, 'not_signed');
  compare();
  return {
    add: (link) => {
      if (!holds()) return false;
      const seq = at.seq + 1;
      const leaf = link.entry ? leafOf(deps.sha256, link.entry) : link.leaf;
      if (link.seq > seq) fail(seq, 'entry_missing');
      else if (link.seq < seq || seq > last) fail(link.seq, 'out_of_order');
      else if (leaf === undefined) fail(seq, 'entry_missing');
      else if (linkOf(deps.sha256, { seq, previous: at.hash, leaf }) !== link.hash) fail(seq, 'entry_changed');
      else {
        at = { seq, hash: link.hash };
        compare();
      }
      return holds();
    },
    stray: (seq) => {
      fail(seq, 'entry_inserted');
    },
    end: () => {
      if (at.seq < last) fail(at.seq + 1, 'entry_missing');
      if (forged(head)) fail(head.seq, 'not_signed');
      return { entries: at.seq - base, from: base + 1, through: last, ...found, signed: deps.isSigned !== undefined };
    },
  };
}
