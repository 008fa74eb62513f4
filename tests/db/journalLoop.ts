import { createJournal } from '../../src/db/journal.ts';
import { aRecord } from './journalRuns.ts';

/** A process that commits to one run without a pause. */
const { LOOP_URL: url = '', LOOP_RUN: run = '', LOOP_TOKEN: token = '' } = process.env;
const journal = createJournal({ url });
await journal.push(aRecord(run, { task: 0, token }));
process.stdout.write('ready\n');
for (let task = 1; ; task += 3) await Promise.all([0, 1, 2].map((i) => journal.push(aRecord(run, { task: task + i, token }))));
