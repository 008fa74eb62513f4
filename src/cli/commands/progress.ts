import { Command } from 'commander';
import type { Progress } from '../../client/runs.ts';
import type { Cli } from '../cli.ts';
import { count } from '../count.ts';
import { duration } from '../duration.ts';

export const progressCommand = (cli: Cli): Command =>
  new Command('progress')
    .description('say how far a run is, when it will end and what decides that')
    .argument('<run>', 'id of the run')
    .option('--json', 'as JSON')
    .action(async (runId: string, { json }: { json?: true }) => {
      const progress = await cli.connect().runs.progress(runId);
      cli.terminal.out(json ? `${JSON.stringify(progress, null, 2)}\n` : lines(progress).join(''));
    });

const WHY_NOT: Record<NonNullable<Progress['noEstimate']>, string> = {
  closed: 'it has ended',
  queued: 'no estimate: it has not begun',
  too_few_runs: 'no estimate: too few earlier runs of the definition have completed',
  longer_than_before: 'no estimate: it has taken longer than earlier runs',
};

function lines({ status, percent, tasks, atWork, estimate, noEstimate, criticalPath }: Progress): string[] {
  const end = estimate
    ? `ends about ${estimate.endsAt}, between ${estimate.earliestAt} and ${estimate.latestAt}, as ${count(estimate.runs, 'earlier run')} did`
    : WHY_NOT[noEstimate ?? 'closed'];
  return [
    `${status}, ${percent} %, ${tasks.done}/${tasks.total} tasks done${atWork.length > 0 ? `, at work: ${atWork.join(', ')}` : ''}\n`,
    `${end}\n`,
    ...(criticalPath.length > 0 ? ['decided by:\n', ...criticalPath.map((task) => `  ${pathLine(task)}\n`)] : []),
  ];
}

function pathLine({ task, status, tookMs, expected }: Progress['criticalPath'][number]): string {
  if (tookMs !== null) return `${task} ${status} in ${duration(tookMs)}`;
  return expected === null
    ? `${task} ${status}`
    : `${task} ${status}, takes about ${duration(expected.ms)} (${duration(expected.lowMs)} to ${duration(expected.highMs)})`;
}
