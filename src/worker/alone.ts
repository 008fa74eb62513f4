import { json } from 'node:stream/consumers';
import { revive } from '../domain/run/storedValue.ts';
import { openPool } from '../db/pool.ts';
import type { JsonObject } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import { systemClock } from '../runtime/clock.ts';
import { readConfig } from '../runtime/config.ts';
import { openExecutors } from './openExecutors.ts';
import type { AloneAnswer, AloneRequest } from './runAlone.ts';

/** Run as a process by `runAlone`: one attempt of one task, then the end. */
async function answer(request: AloneRequest): Promise<AloneAnswer> {
  const config = readConfig(process.env);
  const db = openPool({ url: config.DATABASE_URL, role: 'tiu_engine', max: 1 });
  const opened = openExecutors({ db, config, clock: systemClock });
  try {
    const executor = opened.executors[request.kind];
    if (!executor) throw new Problem('engine_fault', { detail: `no executor for ${request.kind}` });
    return { output: await executor(revive(request.input) as JsonObject, { ...request.execution, signal: new AbortController().signal }) };
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem('internal', { cause: error });
    return { failure: problem.toFailure(), ...(problem.retryAfterMs === undefined ? {} : { retryAfterMs: problem.retryAfterMs }) };
  } finally {
    await opened.close();
    await db.close();
  }
}

process.stdout.write(JSON.stringify(await answer((await json(process.stdin)) as AloneRequest)));
