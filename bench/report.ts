import type { Spread } from './spread.ts';
import type { StatementUse } from './statements.ts';

export type Result = {
  name: string;
  title: string;
  /** Of the machine, when it began. */
  load: number;
  /** Share of the machine that neither the stack nor this client used meanwhile. */
  foreignShare?: number;
  /** CPU of the client itself. */
  clientSeconds?: number;
  figures: Record<string, Spread>;
  cpuMsPerRun?: Record<string, number>;
  cpuMsPerTask?: Record<string, number>;
  /** Calls and ms a run. */
  statements?: StatementUse[];
  skipped?: string;
  error?: string;
};

export type Report = { at: string; machine: string; versions: Record<string, string>; startMs: number; quick: boolean; results: Result[] };

/** A table with a row per figure, medians and (from, to). */
export function markdown(report: Report): string {
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`);
  const lines = report.results.flatMap((result) => [
    ...Object.entries(result.figures).map(([name, value]) => `| ${result.title} | ${name} | ${shown(value)} | |`),
    ...(result.skipped === undefined ? [] : [`| ${result.title} | | skipped: ${result.skipped} | |`]),
    ...(result.error === undefined ? [] : [`| ${result.title} | | failed: ${result.error.slice(0, 120)} | |`]),
    ...notes(result),
  ]);
  return `${report.machine}; ${versions.join(', ')}; ${report.at}${report.quick ? '; quick: not to be quoted' : ''}

| what | figure | median (from to), goes | CPU ms |
|---|---|---|---|
${lines.join('\n')}
`;
}

const shown = ({ median, min, max, n }: Spread): string => (n > 1 ? `${median} (${min} ${max}), ${n}` : String(median));

function notes(result: Result): string[] {
  const cpu = (unit: string, values: Record<string, number> | undefined) =>
    values === undefined
      ? []
      : [
          `| ${result.title} | CPU ms a ${unit} | | ${Object.entries(values)
            .map(([role, ms]) => `${role} ${ms}`)
            .join(', ')} |`,
        ];
  return [
    ...cpu('run', result.cpuMsPerRun),
    ...cpu('task', result.cpuMsPerTask),
    ...(result.statements ?? []).map(
      ({ text, calls, ms }) => `| ${result.title} | ${calls} calls a run, ${ms} ms | | ${text.replaceAll('|', '/')} |`,
    ),
    ...(result.foreignShare === undefined
      ? []
      : [`| ${result.title} | others' share of the machine | ${Math.round(result.foreignShare * 100)} %, load ${result.load} | |`]),
  ];
}
