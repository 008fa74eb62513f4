import type { BreachKind } from './checkRun.ts';
import { FAULTS, type FaultKind } from './faultPlan.ts';
import { FIRST_SUCCESS_MS, SETTLE_MS, type ChaosResult } from './runChaos.ts';

const SHOWN = 20;

/** The result as two tables, what broke, and how to do it again. */
export function markdown(result: ChaosResult): string {
  const count = (kind: BreachKind) => result.breaches.filter((breach) => breach.kind === kind).length;
  const ended = Object.entries(result.ended).map(([status, n]) => `${n} ${status}`);
  const rows: [string, string | number][] = [
    ['faults, kills', `${result.faults} of ${result.planned} planned, ${result.kills} kills in ${result.seconds} s`],
    ['runs accepted', result.accepted],
    ['ended as', ended.join(', ')],
    ['lost', count('lost')],
    ['stuck', count('stuck')],
    [`all ended after the last fault (at most ${SETTLE_MS / 1000} s)`, result.settledAfter === null ? 'no' : `${result.settledAfter} s`],
    ['finished tasks run again', count('again')],
    ['event gaps, doubles', count('events')],
    ['counters that differ from rows', count('counters')],
    ['wrong outcomes or outputs', count('outcome') + count('order')],
    ['effects', `${result.keys} keys, ${result.repeated} calls repeated, at most ${result.mostOfAKey} of one key; after de-duplication 1`],
    ['wrong effects', count('effects')],
    ['calls while their process stood still or was cut off', result.late],
    ['subscribers', `${result.subscribers}, ${result.reconnections} reconnections, ${count('subscribers')} with another sequence`],
    [`first success after the return (at most ${FIRST_SUCCESS_MS} ms)`, shown(result.firstSuccessMs)],
    ['tasks, events', `${result.tasks}, ${result.events}`],
  ];
  return `${result.machine}, load ${result.load}; seed ${result.seed}; ${result.at}

| fault | what | times | kills | first success ms p50, max |
|---|---|---|---|---|
${Object.entries(result.kinds)
  .map(([kind, { faults, kills, firstSuccessMs, skipped }]) => {
    const note = skipped === undefined ? shown(firstSuccessMs) : `skipped: ${skipped}`;
    return `| ${kind} | ${FAULTS[kind as FaultKind]} | ${faults} | ${kills} | ${note} |`;
  })
  .join('\n')}

| what | figure |
|---|---|
${rows.map(([what, figure]) => `| ${what} | ${figure} |`).join('\n')}

${broken(result)}
`;
}

const shown = (ms: { p50: number; max: number } | null): string => (ms === null ? '' : `${ms.p50}, ${ms.max}`);

function broken({ breaches, seed, options }: ChaosResult): string {
  const again = `npm run chaos -- --seed ${seed} --minutes ${options.minutes} --kills ${options.kills} --faults ${options.kinds.join()}`;
  if (breaches.length === 0) return `Everything held. The same faults again: \`${again}\``;
  const lines = breaches.slice(0, SHOWN).map(({ kind, run, what }) => `- ${kind} ${run}: ${what}`);
  return `**${breaches.length} breaches.** The same faults and definitions again (processes never interleave twice in the same way): \`${again}\`

${lines.join('\n')}${breaches.length > SHOWN ? `\n- and ${breaches.length - SHOWN} more` : ''}`;
}
