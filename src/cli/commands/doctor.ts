import { Command } from 'commander';
import { ApiProblem, Unreachable } from '../../client/apiProblem.ts';
import type { Client, Health } from '../../client/createClient.ts';
import type { Cli } from '../cli.ts';
import { count } from '../count.ts';
import { HOW_TO_START } from '../connection.ts';
import { CliError, EXIT } from '../exit.ts';

type Finding = { ok: boolean; what: string; /** What to do about it. */ hint?: string };

export const doctorCommand = (cli: Cli): Command =>
  new Command('doctor').description('say what works here, and what to do about what does not').action(async () => {
    const { findings, reached } = await examine(cli);
    for (const { ok, what, hint } of findings)
      cli.terminal.out(`${ok ? 'ok ' : 'BAD'} ${what}${ok || hint === undefined ? '' : `\n    ${hint}`}\n`);
    if (!reached) throw new CliError(EXIT.unreachable, '');
    if (findings.some(({ ok }) => !ok)) throw new CliError(EXIT.failed, '');
  });

async function examine(cli: Cli): Promise<{ findings: Finding[]; reached: boolean }> {
  const before = [node()];
  try {
    const { from, baseUrl } = cli.connection();
    before.push({ ok: true, what: `address ${baseUrl} from ${from}` });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return {
      findings: [...before, { ok: false, what: error.message, ...(error.hint !== undefined && { hint: error.hint }) }],
      reached: false,
    };
  }
  const { findings, reached } = await service(cli.connect());
  return { findings: [...before, ...findings], reached };
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return {
    ok: major > 24 || (major === 24 && minor >= 21),
    what: `Node ${process.versions.node}`,
    hint: 'Run `node tools/setup.mjs`: it fetches Node 24.',
  };
}

async function service(client: Client): Promise<{ findings: Finding[]; reached: boolean }> {
  try {
    const health = await client.health();
    return { findings: [{ ok: true, what: 'api' }, ...parts(health)], reached: true };
  } catch (error) {
    if (error instanceof ApiProblem)
      return { findings: [{ ok: false, what: `api: ${error.message} (${error.code})`, hint: hintFor(error) }], reached: true };
    if (error instanceof Unreachable) return { findings: [{ ok: false, what: 'api: no answer', hint: HOW_TO_START }], reached: false };
    throw error;
  }
}

const hintFor = ({ status }: ApiProblem): string =>
  status === 401 || status === 403
    ? 'The key is not right for this service: look at --token, TIU_TOKEN or .tiu/owner.key.'
    : 'Look at the log of the api.';

function parts(health: Health): Finding[] {
  const { database, migrations, temporal, workers } = health;
  const versions = [...new Set(workers.map(({ version }) => version))].join(', ');
  const open = Object.entries(health.openRuns).map(([status, n]) => `${n} ${status}`);
  return [
    { ok: database, what: 'database', hint: 'The api cannot reach PostgreSQL: look at DATABASE_URL and at the log of the api.' },
    { ok: migrations, what: 'schema of the database is current', hint: 'Run `npm run migrate`.' },
    {
      ok: workers.length > 0,
      what: `${count(workers.length, 'worker')} ${versions}`.trim(),
      hint: 'No worker is up: runs are accepted and wait. Start one.',
    },
    {
      ok: temporal,
      what: 'Temporal',
      hint: 'No worker reaches it: runs are accepted and wait. Look at TEMPORAL_ADDRESS and at the log of the worker.',
    },
    { ok: true, what: `open runs: ${open.length === 0 ? 'none' : open.join(', ')}` },
  ];
}
