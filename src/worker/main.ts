import { createRequire, enableCompileCache, flushCompileCache } from 'node:module';
import path from 'node:path';

// Compiled code of the process before: half of a start is the loading of modules. A folder that cannot be written is no fault.
enableCompileCache(path.resolve(import.meta.dirname, '../../.tiu/compile-cache'));
const { boot } = await import('./boot.ts');
const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
await boot(version);
flushCompileCache(); // a process that is killed has no time for it
