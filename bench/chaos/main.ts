import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { DEFAULT_FAULTS, FAULTS, type FaultKind } from './faultPlan.ts';
import { markdown } from './report.ts';
import { stepsMarkdown } from './steps/report.ts';
import { runSteps, STEP_KILLS, type StepsOptions } from './steps/runSteps.ts';
import { runChaos, type ChaosOptions } from './runChaos.ts';

const KINDS = Object.entries(FAULTS).map(([kind, what]) => `    ${kind.padEnd(15)} ${what}`);
const USAGE = `usage: npm run chaos -- [--seed N] [--minutes M] [--kills N] [--faults A,B] [--out FILE]
       npm run chaos -- --steps [--seed N] [--kills N] [--out FILE]
  --seed     determines faults, victims and definitions (not how processes interleave); a new one if left out
  --minutes  over how long the faults are spread, 0.1 to 120; 10
  --kills    processes to kill at least, 1 to 10000; 20 a minute
  --out      also writes the JSON there
  --faults   all but disk, or some of
${KINDS.join('\n')}
  --steps    instead: kills a process at each named step of compensation, fork, retry and approval; 216 kills, each step four times
Starts a stack of its own: PostgreSQL, Temporal, two apis and three workers in a temporary folder. Ends with 1 if anything
that was accepted was lost, stuck, done twice or seen out of order.`;

type Options = ChaosOptions & { steps: boolean; out: string | undefined };

const options = readOptions(process.argv.slice(2));
if (options) await main(options);
else {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
}

function readOptions(args: string[]): Options | undefined {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: { seed: text, minutes: text, kills: text, faults: text, out: text, steps: { type: 'boolean', default: false } },
    });
    const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 999_999));
    const minutes = Number(values.minutes ?? 10);
    const kills = Number(values.kills ?? (values.steps ? STEP_KILLS : Math.ceil(20 * minutes)));
    const kinds = (values.faults?.split(',') ?? DEFAULT_FAULTS) as FaultKind[];
    const whole = Number.isInteger(seed) && seed > 0 && Number.isInteger(kills) && kills >= 1 && kills <= 10_000;
    if (!whole || !(minutes >= 0.1 && minutes <= 120) || !kinds.every((kind) => Object.hasOwn(FAULTS, kind))) return undefined;
    return { seed, minutes, kills, kinds, out: values.out, steps: values.steps };
  } catch {
    return undefined;
  }
}

async function main({ out, steps, ...chosen }: Options): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      stopping.abort();
    });
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const { seed, kills } = chosen;
  const what = steps ? `${kills} kills at named steps` : `${kills} kills over ${chosen.minutes} minutes`;
  say(`seed ${seed}: ${what}; a first interrupt ends the attack, a second one everything`);
  const given = { say, signal: stopping.signal };
  const { result, shown } = steps ? await stepsOf({ seed, kills, ...given }) : await chaosOf({ ...chosen, ...given });
  const json = JSON.stringify(result, null, 1);
  if (out !== undefined) fs.writeFileSync(out, `${json}\n`);
  process.stdout.write(`${json}\n\n${shown}`);
  process.exitCode = result.breaches.length > 0 ? 1 : 0;
}

async function chaosOf(chosen: ChaosOptions) {
  const result = await runChaos(chosen);
  return { result, shown: markdown(result) };
}

async function stepsOf(chosen: StepsOptions) {
  const result = await runSteps(chosen);
  return { result, shown: stepsMarkdown(result) };
}
