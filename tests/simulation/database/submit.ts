import type { Tables } from './tables.ts';
import { MAIN } from '../../../src/domain/plan/phases.ts';
import { addEvent } from './tables.ts';

type Column<T> = readonly (T | null | undefined)[];
type Verdict = { isNew: boolean; same: boolean; run: string | null };

const KEY_MS = 7 * 86_400_000;
const text = (value: unknown): string => (Buffer.isBuffer(value) ? value.toString('hex') : String(value));

const word = (column: unknown, i: number): string | null => (column as Column<string> | undefined)?.[i] ?? null;

/** @returns a row for each submit that is not new */
export function submit(tables: Tables, values: readonly unknown[]): object[] {
  const [runs, workspaces, , definitions, , plans, inputs, totals, priorities, , deadlines] = values as Column<string>[];
  const now = tables.now();
  const { verdicts, taken } = takeKeys(tables, values as Column<string>[], now);
  (values[17] as Column<Buffer> | undefined)?.forEach((hash, i) => {
    tables.plans.set(text(hash), (values[18] as string[])[i] ?? '');
  });
  verdicts.forEach((verdict, i) => {
    const run = runs?.[i] ?? '';
    const clash = tables.runs.has(run);
    if (verdict.isNew && clash) Object.assign(verdict, { isNew: false, same: false });
    else if (clash) verdict.same &&= !verdict.isNew;
    if (!verdict.isNew) return;
    const total = Number(totals?.[i] ?? 0);
    const deadline = deadlines?.[i] === undefined || deadlines[i] === null ? null : now + Number(deadlines[i]);
    const after = word(values[28], i);
    const state = {
      ...{
        run,
        workspace: workspaces?.[i] ?? '',
        status: 'queued' as const,
        intent: null,
        reason: null,
        epoch: 0,
        owner: null,
        ownerUntil: null,
      },
      ...{ total, open: total, failed: 0, lastSeq: 1, commandSeq: 0, appliedSeq: 0, segOpen: 0, restarts: 0, cancelSent: false, deadline },
      ...{
        ...{ started: null, finished: null, failure: null, pokedSeq: 0, pokeAfter: null },
        notBefore: after === null ? null : Date.parse(after),
        ...{ phase: MAIN, decided: null, paused: false, held: null },
      },
    };
    const rows = {
      ...{
        state,
        definition: definitions?.[i] ?? '',
        plan: text(plans?.[i]),
        input: inputs?.[i] ?? null,
        priority: Number(priorities?.[i] ?? 0),
        mode: word(values[24], i) ?? 'standard',
      },
      deadlineMs: deadline === null ? null : deadline - now,
      ...{ created: now, tasks: new Map(), events: [], commands: [], waits: new Map(), slices: [], output: null, forkedFrom: null },
    };
    tables.runs.set(run, rows);
    addEvent(rows, 1, { type: 'run.accepted', data: word(values[29], i), at: now });
  });
  for (const { key, s, mine, run } of taken) {
    const verdict = verdicts[s];
    if (mine && verdict && !verdict.isNew && !(verdict.same && verdict.run === run)) tables.keys.delete(key);
  }
  return verdicts.flatMap(({ isNew, same, run }, i) =>
    isNew ? [] : [{ i: i + 1, run: same ? run : null, outcome: same ? 'known' : 'conflict' }],
  );
}

type Taken = { key: string; s: number; mine: boolean; run: string };

/** Idempotency rows first: who loses one of its keys is known, or in conflict. */
function takeKeys(tables: Tables, values: readonly Column<string>[], now: number): { verdicts: Verdict[]; taken: Taken[] } {
  const runs = values[0] ?? [];
  const verdicts = runs.map((): Verdict => ({ isNew: true, same: true, run: null }));
  const taken: Taken[] = [];
  (values[13] ?? []).forEach((position, i) => {
    const s = Number(position) - 1;
    const run = runs[s] ?? '';
    const key = JSON.stringify([values[1]?.[s], values[14]?.[i], values[15]?.[i]]);
    const hash = text(values[16]?.[i]);
    const known = tables.keys.get(key);
    const mine = !known || known.expires < now;
    if (mine) tables.keys.set(key, { hash, run, expires: now + KEY_MS });
    taken.push({ key, s, mine, run });
    const verdict = verdicts[s];
    if (mine || !verdict) return;
    verdict.isNew = false;
    verdict.same &&= known.hash === hash;
    verdict.run ??= known.run;
  });
  return { verdicts, taken };
}

/** @returns the number of the event; null: the run is closed; 0: there is none */
export function command(tables: Tables, values: readonly unknown[]): number | null {
  const [run, workspace, type, payload, data, reason, , , force] = values as [
    string,
    string,
    string,
    string,
    string,
    string | null,
    string,
    string,
    boolean,
  ];
  const rows = tables.runs.get(run);
  if (rows?.state.workspace !== workspace) return 0;
  const { state } = rows;
  if (state.finished !== null) return null;
  const again = state.intent === 'cancel' || state.intent === 'force';
  if (state.phase > MAIN && !force && !again) return -1;
  const seq = ++state.lastSeq;
  addEvent(rows, seq, { type: `command.${type}`, data, at: tables.now() });
  rows.commands.push({ seq, type, payload, task: null, phase: state.phase });
  state.commandSeq = seq;
  state.intent = force || again ? 'force' : 'cancel';
  state.reason ??= reason;
  if (again) tables.untold.set(run, { pokeAfter: null });
  return seq;
}
