import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { deflateRawSync, crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { pack, type Header } from 'tar-stream';
import { openArchive } from '../../src/providers/archive/archive.ts';
import { createArchives } from '../../src/providers/archive/archives.ts';
import { aProblem } from './aProblem.ts';

type File = { name: string; content?: string | Buffer; type?: Header['type']; linkname?: string };

async function aTar(files: File[]): Promise<Buffer> {
  const tar = pack();
  for (const { name, content = '', type = 'file', linkname } of files)
    tar.entry({ name, type, ...(linkname === undefined ? {} : { linkname }) }, type === 'file' ? content : '');
  tar.finalize();
  return Buffer.concat((await Readable.from(tar).toArray()) as Buffer[]);
}

/** A zip as other programs write it, or with a lie: a stated size, a mode, a flag. */
function aZip(
  files: { name: string; content: string | Buffer; mode?: number; flags?: number; stated?: number; stored?: boolean }[],
): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const { name, content, mode = 0o100644, flags = 0x800, stated, stored = false } of files) {
    const raw = Buffer.from(content);
    const data = stored ? raw : deflateRawSync(raw);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(stored ? 0 : 8, 4);
    common.writeUInt32LE(crc32(raw), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(stated ?? raw.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, tail, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const FILES = [
  { name: './src/b.ts', content: 'bb' },
  { name: 'src/a.ts', content: 'a' },
  { name: 'ünï/日本.py', content: '' },
];
const LISTED = [
  { path: 'src/a.ts', size: 1, sha256: sha256('a') },
  { path: 'src/b.ts', size: 2, sha256: sha256('bb') },
  { path: 'ünï/日本.py', size: 0, sha256: sha256('') },
];

test.each([
  ['tar', (tar: Buffer) => tar],
  ['tar.gz', (tar: Buffer) => gzipSync(tar)],
  ['tar.zst', (tar: Buffer) => zstdCompressSync(tar)],
  ['zip', () => aZip(FILES)],
])('a %s lists its files sorted and gives their content', async (_format, packed) => {
  const archive = await openArchive(packed(await aTar(FILES)));
  expect(archive.entries).toEqual(LISTED);
  expect(archive.read('src/b.ts').toString()).toBe('bb');
  expect(archive.unpacked).toBe(3);
  expect(() => archive.read('src/c.ts')).toThrow(aProblem('artifact_entry_not_found'));
});

test.each([
  ['text', Buffer.from('just text')],
  ['nothing', Buffer.alloc(0)],
  ['a gzip of text', gzipSync('text')],
  ['512 zero bytes', Buffer.alloc(512)],
])('%s is one file, read by any path', async (_name, bytes) => {
  const archive = await openArchive(bytes);
  expect(archive.single).toBe(true);
  expect(archive.entries).toEqual([{ path: 'file', size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }]);
  expect(archive.read('whatever.ts').equals(bytes)).toBe(true);
});

test('links, devices and folders are left out', async () => {
  const tar = await aTar([
    { name: 'folder/', type: 'directory' },
    { name: 'passwd', type: 'symlink', linkname: '/etc/passwd' },
    { name: 'hard', type: 'link', linkname: '../../x' },
    { name: 'device', type: 'character-device' },
    { name: 'real.ts', content: 'x' },
  ]);
  expect((await openArchive(tar)).entries.map(({ path }) => path)).toEqual(['real.ts']);
  const zip = aZip([
    { name: 'folder/', content: '', mode: 0o040755 },
    { name: 'link', content: '/etc/passwd', mode: 0o120777 },
    { name: 'real.ts', content: 'x' },
  ]);
  expect((await openArchive(zip)).entries.map(({ path }) => path)).toEqual(['real.ts']);
});

test.each(['../up.ts', 'a/../../up.ts', '/etc/passwd', 'C:/windows', 'a\\..\\b'])('a path like %s is refused', async (name) => {
  await expect(openArchive(await aTar([{ name, content: 'x' }]))).rejects.toThrow(aProblem('invalid_archive'));
});

test.each(['../up.ts', 'a/../../up.ts', '/etc/passwd', 'C:/windows'])('a path like %s is refused in a zip', async (name) => {
  await expect(openArchive(aZip([{ name, content: 'x' }]))).rejects.toThrow(aProblem('invalid_archive'));
});

test('the later of two entries with one path counts', async () => {
  const archive = await openArchive(
    await aTar([
      { name: 'a', content: 'old' },
      { name: './a', content: 'new' },
    ]),
  );
  expect(archive.entries).toHaveLength(1);
  expect(archive.read('a').toString()).toBe('new');
});

const ZEROS = Buffer.alloc(8 * 2 ** 20);
const bombs: [string, () => Promise<Buffer>][] = [
  ['gzip', async () => gzipSync(await aTar([{ name: 'zeros', content: ZEROS }]))],
  ['zstd', async () => zstdCompressSync(await aTar([{ name: 'zeros', content: ZEROS }]))],
  ['zip', () => Promise.resolve(aZip([{ name: 'zeros', content: ZEROS }]))],
];
test.each(bombs)('a %s bomb is refused by size and by ratio', async (_format, make) => {
  const bomb = await make();
  await expect(openArchive(bomb, { maxUnpacked: 2 ** 20 })).rejects.toThrow(aProblem('artifact_too_large'));
  await expect(openArchive(bomb, { ratioFrom: 2 ** 20, maxRatio: 100 })).rejects.toThrow(aProblem('artifact_too_large'));
  expect((await openArchive(bomb)).unpacked).toBe(ZEROS.length);
});

test('many small entries are refused, folders counted', async () => {
  const tar = await aTar(Array.from({ length: 20 }, (_, i) => ({ name: `d${i}/`, type: 'directory' as const })));
  await expect(openArchive(tar, { maxEntries: 10 })).rejects.toThrow(aProblem('artifact_too_large'));
});

test('a zip that states a smaller size than it holds is refused', async () => {
  await expect(openArchive(aZip([{ name: 'a', content: 'x'.repeat(100_000), stated: 10 }]))).rejects.toThrow(aProblem('invalid_archive'));
});

test('an encrypted zip is refused', async () => {
  await expect(openArchive(aZip([{ name: 'a', content: 'x', flags: 0x801 }]))).rejects.toThrow(aProblem('invalid_archive'));
});

test('a broken archive is invalid_archive wherever it is cut', async () => {
  const tar = await aTar([
    { name: 'a', content: 'x'.repeat(5_000) },
    { name: 'b', content: 'y' },
  ]);
  const cut = [
    tar.subarray(0, 1_000),
    gzipSync(tar).subarray(0, 60),
    zstdCompressSync(tar).subarray(0, 40),
    aZip([{ name: 'a', content: 'x' }]).subarray(0, 60),
  ];
  for (const bytes of cut) await expect(openArchive(bytes)).rejects.toThrow(aProblem('invalid_archive'));
});

test('an archive in use is read once, also by tasks that ask at the same time', async () => {
  const bytes = await aTar(FILES);
  let opened = 0;
  const archives = createArchives({
    objects: {
      open: () => {
        opened += 1;
        return Promise.resolve(Object.assign(Readable.from([bytes]), { size: bytes.length }));
      },
    },
  });
  const all = await Promise.all(Array.from({ length: 10 }, () => archives.of('w', 'h')));
  expect(new Set(all).size).toBe(1);
  await archives.of('w', 'h');
  expect(opened).toBe(1);
  await archives.of('other', 'h');
  expect(opened).toBe(2);
});

test('an artifact beyond the packed limit is not read', async () => {
  const archives = createArchives({
    objects: { open: () => Promise.resolve(Object.assign(Readable.from([]), { size: 11 })) },
    maxPacked: 10,
  });
  await expect(archives.of('w', 'h')).rejects.toThrow(aProblem('artifact_too_large'));
});

test('the event loop turns while a large archive is opened', async () => {
  const noise = Buffer.from(Array.from({ length: 2 ** 20 }, (_, i) => (i * 2_654_435_761) >>> 24));
  const tar = await aTar(Array.from({ length: 40 }, (_, i) => ({ name: `f${i}`, content: noise })));
  let turns = 0;
  const turn = () => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  await openArchive(tar);
  clearImmediate(next);
  expect(turns).toBeGreaterThanOrEqual(19); // 40 MB, one turn for each 2 MB
});
