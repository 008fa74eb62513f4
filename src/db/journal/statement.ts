import type { Stop } from '../../domain/plan/state.ts';
import type { Statement } from '../database.ts';
import { bytea, int4, int8, json, text, uuid } from '../encode.ts';
import type { Group } from './batch.ts';
import type { TaskRecord } from './record.ts';

/** What journal_commit_v1 returns for a run. bigints arrive as text. */
export type CommitRow = {
  r: number;
  base: string | null;
  seq: string | null;
  intent: Stop | null;
  unseen: boolean | null;
  outcome: 'ok' | 'skipped' | 'refused' | 'closed';
  refused: number[] | null;
};

/** `t` = position of the row among the task columns, `k` = rank of its event within its run, both from 1. */
type Row = { r: number; k: number; t: number; record: TaskRecord };

const PARAMETERS = 36;
const TEXT = `select * from journal_commit_v1(${Array.from({ length: PARAMETERS }, (_, i) => `$${i + 1}`).join()})`;

/** One call of journal_commit_v1. @param wait lock the runs even if another writer holds them, up to 2 s */
export function commitStatement(groups: readonly Group[], wait: boolean): Statement {
  const rows: Row[] = [];
  for (const [g, group] of groups.entries()) {
    let k = 0;
    for (const record of group.rows.values()) rows.push({ r: g + 1, k: ++k, t: rows.length + 1, record });
  }
  return {
    name: 'journal_commit_v1',
    text: TEXT,
    values: [
      wait ? 't' : 'f',
      uuid(groups.map((g) => g.run)),
      int4(groups.map((g) => g.epoch)),
      int8(groups.map((g) => g.applied)),
      ...taskColumns(rows),
      ...waitColumns(rows),
      ...closeColumns(groups),
    ],
  };
}

const sizeOf = (from: { output?: string; outputSize?: number }): number | undefined =>
  from.outputSize ?? (from.output === undefined ? undefined : Buffer.byteLength(from.output));

function taskColumns(rows: readonly Row[]): Buffer[] {
  return [
    int4(rows.map((x) => x.r)),
    int4(rows.map((x) => x.k)),
    int4(rows.map((x) => x.record.task)),
    int4(rows.map((x) => x.record.item)),
    int4(rows.map((x) => x.record.generation)),
    int4(rows.map((x) => x.record.attempt)),
    uuid(rows.map((x) => x.record.token)),
    text(rows.map((x) => x.record.status)),
    int4(rows.map((x) => x.record.branch)),
    json(rows.map((x) => x.record.output)),
    bytea(rows.map((x) => x.record.outputRef)),
    int4(rows.map((x) => sizeOf(x.record))),
    json(rows.map((x) => x.record.failure)),
    json(rows.map((x) => x.record.data)),
    int8(rows.map((x) => x.record.deadlineMs)),
    int8(rows.map((x) => x.record.nextMs)),
    int4(rows.map((x) => (x.record.lost === true ? 1 : undefined))),
  ];
}

type Wait = {
  t: number;
  kind: 'timer' | 'event' | 'approval' | 'child' | 'external' | 'map' | 'deadline';
  ms?: number | undefined;
  until?: string | undefined;
  parts?: number;
};

function waitColumns(rows: readonly Row[]): Buffer[] {
  const waits: Wait[] = [];
  const slices: { t: number; k: number; lo: number; hi: number }[] = [];
  for (const { t, record } of rows) {
    if (record.deadlineMs !== undefined) waits.push({ t, kind: 'deadline', ms: record.deadlineMs });
    if (record.wait && record.wait.kind !== 'map')
      waits.push({ t, kind: record.wait.kind, ms: record.wait.untilMs, until: record.wait.until });
    if (record.wait?.kind === 'map') {
      waits.push({ t, kind: 'map', parts: record.wait.parts ?? record.wait.slices.length });
      for (const [k, [lo, hi]] of record.wait.slices.entries()) slices.push({ t, k, lo, hi });
    }
  }
  return [
    int4(waits.map((w) => w.t)),
    text(waits.map((w) => w.kind)),
    int8(waits.map((w) => w.ms)),
    text(waits.map((w) => w.until)),
    int4(waits.map((w) => w.parts)),
    int4(slices.map((s) => s.t)),
    int4(slices.map((s) => s.k)),
    int4(slices.map((s) => s.lo)),
    int4(slices.map((s) => s.hi)),
  ];
}

function closeColumns(groups: readonly Group[]): Buffer[] {
  const closes = groups.flatMap((group, g) => (group.close ? [{ r: g + 1, record: group.close }] : []));
  return [
    int4(closes.map((c) => c.r)),
    text(closes.map((c) => c.record.status)),
    json(closes.map((c) => c.record.failure)),
    json(closes.map((c) => c.record.output)),
    bytea(closes.map((c) => c.record.outputRef)),
    int4(closes.map((c) => sizeOf(c.record))),
  ];
}
