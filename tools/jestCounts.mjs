// A jest reporter that leaves its counts in a file for tools/test.mjs. A suite that could not run counts as one failure.
import fs from 'node:fs';

export default class JestCounts {
  onRunComplete(_contexts, results) {
    const file = process.env.TIU_JEST_RESULT;
    if (!file) return;
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    fs.writeFileSync(file, JSON.stringify({ passed: results.numPassedTests, failed }));
  }
}
