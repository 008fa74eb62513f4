import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import fs from 'node:fs';

/** Run as a process: `bundle.ts WORKFLOWS FILE [FAILURE_CONVERTER]`. The file appears whole or not at all. */
const [workflowsPath, file, failureConverterPath] = process.argv.slice(2);
if (workflowsPath === undefined || file === undefined) throw new Error('usage: bundle.ts WORKFLOWS FILE [FAILURE_CONVERTER]');
const { code } = await bundleWorkflowCode({
  workflowsPath,
  logger: new DefaultLogger('WARN'),
  ...(failureConverterPath === undefined ? {} : { failureConverterPath }),
});
const part = `${file}.${process.pid}`;
fs.writeFileSync(part, code);
fs.renameSync(part, file);
