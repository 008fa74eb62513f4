import fs from 'node:fs';
import type { Stoppable } from '../../src/dev/process.ts';

/** A suite that leaves a server open has failed already; it must not keep the whole run from ending too. */
const LINGER_MS = 5_000;

export default async function globalTeardown(): Promise<void> {
  const { started, folder } = (globalThis as unknown as { tiuTests: { started: Stoppable[]; folder: string } }).tiuTests;
  for (const part of started.reverse()) await part.stop();
  fs.rmSync(folder, { recursive: true, force: true });
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
