import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import fs from 'node:fs';

/** Run as a process: `bundle.ts WORKFLOWS FILE`. The file appears whole or not at all. */
const [workflowsPath, file] = process.argv.slice(2);
if (workflowsPath === undefined || file === undefined) throw new Error('usage: bundle.ts WORKFLOWS FILE');
const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
const part = `${file}.${process.pid}`;
fs.writeFileSync(part, code);
fs.renameSync(part, file);
