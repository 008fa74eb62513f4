/**
 * PostgreSQL arrays in the binary format: no quoting, no parsing. A column in which every value is missing is sent as an
 * empty array, which `unnest` beside longer ones pads with null.
 */
export type Column<T> = readonly (T | null | undefined)[];

const HEX = new Uint8Array(256);
for (const [i, digit] of Array.from('0123456789abcdefABCDEF').entries()) HEX[digit.charCodeAt(0)] = i < 16 ? i : i - 6;
const DASH = 45;
const HEADER = 20;

type Layout<T> = { oid: number; size: number; write: (into: Buffer, value: T, at: number) => void };

const INT4: Layout<number> = { oid: 23, size: 4, write: (into, value, at) => void into.writeInt32BE(value, at) };
const INT8: Layout<number> = { oid: 20, size: 8, write: (into, value, at) => void into.writeBigInt64BE(BigInt(Math.round(value)), at) };
const UUID: Layout<string> = { oid: 2950, size: 16, write: writeUuid };

export const int4 = (column: Column<number>): Buffer => fixed(INT4, column);
export const int8 = (column: Column<number>): Buffer => fixed(INT8, column);
export const uuid = (column: Column<string>): Buffer => fixed(UUID, column);
export const text = (column: Column<string>): Buffer => varying(25, column);
export const json = (column: Column<string>): Buffer => varying(114, column);
export const bytea = (column: Column<Buffer>): Buffer => varying(17, column);

function writeUuid(into: Buffer, value: string, start: number): void {
  let at = start;
  for (let i = 0; i < value.length; i += 2) {
    if (value.charCodeAt(i) === DASH) i += 1;
    into[at++] = ((HEX[value.charCodeAt(i)] ?? 0) << 4) | (HEX[value.charCodeAt(i + 1)] ?? 0);
  }
}

function empty(oid: number): Buffer {
  const buffer = Buffer.alloc(12);
  buffer.writeInt32BE(oid, 8);
  return buffer;
}

function withHeader(oid: number, length: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + bytes);
  buffer.writeInt32BE(1, 0); // one dimension
  buffer.writeInt32BE(1, 4); // may hold nulls
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16); // lower bound
  return buffer;
}

function fixed<T>({ oid, size, write }: Layout<T>, column: Column<T>): Buffer {
  const buffer = withHeader(oid, column.length, column.length * (4 + size));
  let at = HEADER;
  let any = false;
  for (const value of column) {
    const missing = value === null || value === undefined;
    at = buffer.writeInt32BE(missing ? -1 : size, at);
    if (missing) continue;
    any = true;
    write(buffer, value, at);
    at += size;
  }
  return any ? buffer.subarray(0, at) : empty(oid);
}

function varying(oid: number, column: Column<string | Buffer>): Buffer {
  const lengths = column.map((value) =>
    value === null || value === undefined ? -1 : typeof value === 'string' ? Buffer.byteLength(value) : value.length,
  );
  if (lengths.every((length) => length === -1)) return empty(oid);
  const bytes = lengths.reduce((sum, length) => sum + Math.max(length, 0), 0);
  const buffer = withHeader(oid, column.length, bytes + column.length * 4);
  let at = HEADER;
  for (const [i, value] of column.entries()) {
    const length = lengths[i] ?? -1;
    at = buffer.writeInt32BE(length, at);
    if (typeof value === 'string') buffer.write(value, at);
    else value?.copy(buffer, at);
    at += Math.max(length, 0);
  }
  return buffer;
}
