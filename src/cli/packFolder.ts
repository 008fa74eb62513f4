import fs from 'node:fs/promises';
import path from 'node:path';
import { createGzip } from 'node:zlib';
import { pack as createPack, type Pack } from 'tar-stream';

export type Packed = { bytes: Buffer<ArrayBuffer>; files: number; /** Before compression. */ sizeBytes: number };

const EXCLUDED: ReadonlySet<string> = new Set(['node_modules', '.git', '.tiu']);

/**
 * Packs the regular files below a folder as tar.gz. The same files give the same bytes, so the same artifact: sorted
 * names, no times, owners or permissions. Symbolic links and everything named in EXCLUDED are left out.
 */
export async function packFolder(folder: string): Promise<Packed> {
  const names = (await listFiles(folder, '')).sort((a, b) => (a < b ? -1 : 1));
  const pack = createPack();
  const gzip = createGzip({ level: 6 });
  const chunks: Buffer[] = [];
  const collected = (async () => {
    for await (const chunk of pack.pipe(gzip)) chunks.push(chunk as Buffer);
  })();
  let sizeBytes = 0;
  for (const name of names) {
    const body = await fs.readFile(path.join(folder, name));
    sizeBytes += body.length;
    await addEntry(pack, name, body);
  }
  pack.finalize();
  await collected;
  return { bytes: Buffer.concat(chunks), files: names.length, sizeBytes };
}

/** Relative paths with `/`, unsorted. */
async function listFiles(root: string, below: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await fs.readdir(path.join(root, below), { withFileTypes: true })) {
    if (EXCLUDED.has(entry.name)) continue;
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await listFiles(root, name)));
    else if (entry.isFile()) found.push(name);
  }
  return found;
}

function addEntry(pack: Pack, name: string, body: Buffer): Promise<void> {
  return new Promise((added, failed) => {
    pack.entry({ name, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 }, body, (error) => {
      if (error) failed(error);
      else added();
    });
  });
}
