type Packing = 'gzip' | 'zstd' | 'zip' | 'none';

/** How bytes are packed, by their first bytes, never by a name. */
export function packingOf(bytes: Buffer): Packing {
  if (bytes.length >= 3 && bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8) return 'gzip';
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
  const isZip = bytes.length >= 22 && bytes[0] === 0x50 && bytes[1] === 0x4b && [0x0403, 0x0605, 0x0807].includes(bytes.readUInt16LE(2));
  return isZip ? 'zip' : 'none';
}

const HEADER = 512;
const CHECKSUM = { from: 148, to: 156 };

/** Whether the first 512 bytes are a tar header: its checksum fits, as every tar format since the first has one. */
export function isTar(bytes: Buffer): boolean {
  if (bytes.length < HEADER) return false;
  const stated = Number.parseInt(bytes.toString('latin1', CHECKSUM.from, CHECKSUM.to).replace(/[\0 ]/g, ''), 8);
  let sum = 0;
  for (let at = 0; at < HEADER; at += 1) sum += at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : (bytes[at] ?? 0);
  return sum === stated;
}
