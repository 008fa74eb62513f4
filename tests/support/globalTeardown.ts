import fs from 'node:fs';
import type { Stoppable } from '../../src/dev/process.ts';

export default async function globalTeardown(): Promise<void> {
  const { started, folder } = (globalThis as unknown as { tiuTests: { started: Stoppable[]; folder: string } }).tiuTests;
  for (const part of started.reverse()) await part.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}
