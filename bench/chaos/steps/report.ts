import type { BreachKind } from '../checkRun.ts';
import type { StepsResult } from './runSteps.ts';

const SHOWN = 20;

/** The result as two tables, and what broke. */
export function stepsMarkdown(result: StepsResult): string {
  const { breaches, scenes, steps, seed, kills } = result;
  const count = (...kinds: BreachKind[]) => breaches.filter(({ kind }) => kinds.includes(kind)).length;
  const rows: [string, string | number][] = [
    ['kills', `${kills} in ${result.seconds} s, at ${steps[0]} of ${steps[1]} steps`],
    ['runs, tasks, events', `${result.runs}, ${result.tasks}, ${result.events}`],
    ['lost or stuck', count('lost', 'stuck')],
    ['finished tasks run again', count('again')],
    ['event gaps, doubles', count('events')],
    ['counters that differ from rows', count('counters')],
    ['wrong outcomes, orders or answers', count('outcome', 'order')],
    ['wrong effects', count('effects')],
    [
      'effects',
      `${result.keys} keys, ${result.repeated} called again because the caller had died, ${result.unexplained} for another reason`,
    ],
  ];
  const lines = breaches.slice(0, SHOWN).map(({ kind, run, what }) => `- ${kind} ${run}: ${what}`);
  return `${result.machine}, load ${result.load}; seed ${seed}; ${result.at}

| while | kills | of these apis | from the kill to the end of the run, ms, p50, max |
|---|---|---|---|
${Object.entries(scenes)
  .map(([scene, { kills: some, apis, msToEnd }]) => `| ${scene} | ${some} | ${apis} | ${msToEnd.p50}, ${msToEnd.max} |`)
  .join('\n')}

| what | figure |
|---|---|
${rows.map(([what, figure]) => `| ${what} | ${figure} |`).join('\n')}

${breaches.length === 0 ? 'Everything held.' : `**${breaches.length} breaches.**`} Again: \`npm run chaos -- --steps --seed ${seed} --kills ${kills}\`
${lines.length === 0 ? '' : `\n${lines.join('\n')}\n`}`;
}
