import fs from 'node:fs/promises';
import path from 'node:path';
import type { Client } from '../client/createClient.ts';
import { packFolder } from './packFolder.ts';

export type Uploaded = { sha256: string; /** Bytes as uploaded. */ size: number; files: number };

/** Uploads a file as it is, or a folder packed as tar.gz. */
export async function uploadPath(client: Client, at: string): Promise<Uploaded> {
  const name = path.basename(path.resolve(at));
  if ((await fs.stat(at)).isDirectory()) {
    const { bytes, files } = await packFolder(at);
    const { sha256 } = await client.artifacts.upload({ bytes, mediaType: 'application/gzip', name: `${name}.tar.gz` });
    return { sha256, size: bytes.length, files };
  }
  const bytes = await fs.readFile(at);
  const { sha256 } = await client.artifacts.upload({ bytes, mediaType: 'application/octet-stream', name });
  return { sha256, size: bytes.length, files: 1 };
}
