import { parseArgs } from 'node:util';
import { simulate, type Outcome } from './simulate.ts';

const SHOWN_LINES = Number(process.env.LINES ?? 400);

/** Runs the seeds that the arguments ask for, and exits with 1 if one fails. */
export function runSeeds(args: string[], seed: string | undefined): void {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      all: { type: 'boolean', default: false },
    },
  });
  const first = seed === undefined ? Number(values.from) : Number(seed);
  const count = seed === undefined ? Number(values.seeds) : 1;
  const began = process.hrtime.bigint();
  const total = { steps: 0, simulatedMs: 0, faults: 0, endedAtOnce: 0, failed: 0, corrections: {} as { [reason: string]: number } };
  for (let i = first; i < first + count; i++) {
    if (process.env.PROGRESS) process.stderr.write(`${i} `);
    const error = runOne(i, total);
    if (error === undefined) continue;
    total.failed++;
    explain(i, error, seed !== undefined || !values.all);
    if (!values.all) break;
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  process.stdout.write(
    `${JSON.stringify({ seeds: count, seconds: Number(seconds.toFixed(1)), ...total, simulatedMs: Math.round(total.simulatedMs) })}\n`,
  );
  process.exit(total.failed > 0 ? 1 : 0);
}

/** With TRACE=1 every line at once, for a world that does not end. */
const live = process.env.TRACE ? (line: string): void => void process.stdout.write(`${line}\n`) : undefined;

type Total = Outcome & { failed: number };

function runOne(seed: number, total: Total): Error | undefined {
  try {
    const outcome = simulate(seed, live);
    total.steps += outcome.steps;
    total.simulatedMs += outcome.simulatedMs;
    total.faults += outcome.faults;
    total.endedAtOnce += outcome.endedAtOnce;
    for (const [reason, n] of Object.entries(outcome.corrections)) total.corrections[reason] = (total.corrections[reason] ?? 0) + n;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Lives through the seed once more and shows the end of it. */
function explain(seed: number, error: Error, withTrace: boolean): void {
  process.stdout.write(`SEED=${seed} fails: ${error.name}: ${error.message}\n`);
  if (!withTrace) return;
  const lines: string[] = [];
  try {
    simulate(seed, (line) => void lines.push(line));
  } catch (again) {
    if (String(again) !== String(error)) lines.push(`the repetition ended otherwise: ${String(again)}`);
  }
  process.stdout.write(`${lines.slice(-SHOWN_LINES).join('\n')}\n${error.stack ?? ''}\nSEED=${seed} npm run simulate\n`);
}
