import fs from 'node:fs';
import type { TestServers } from './globalSetup.ts';

/** A suite that leaves a server open has failed already; it must not keep the whole run from ending too. */
const LINGER_MS = 5_000;

export default async function globalTeardown(): Promise<void> {
  const { started, folder, guard } = (globalThis as unknown as { tiuTests: TestServers }).tiuTests;
  for (const part of started.reverse()) await part.stop();
  guard.close();
  fs.rmSync(folder, { recursive: true, force: true });
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
