import { randomUUIDv7 } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { readConfig } from '../../src/runtime/config.ts';
import { createDataConverter } from '../../src/temporal/dataConverter.ts';
import { createTemporalSchedules } from '../../src/temporal/schedules.ts';
import { installOnce, silent } from '../worker/support/aWorker.ts';

test('a schedule that is sealed with a lost key is made again with the key of today', async () => {
  installOnce();
  const connection = await NativeConnection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  const config = readConfig({ DATABASE_URL: 'postgres://none', TIU_TASK_QUEUE: 'schedule-keys' });
  const schedulesWith = (id: string, fill: number) => {
    const { payloadCodecs = [] } = createDataConverter(createPayloadCipher([{ id, secret: Buffer.alloc(32, fill) }]));
    return createTemporalSchedules({
      ...{ config, log: silent, identity: 'tiu-test', connection: () => connection },
      dataConverter: { payloadCodecs },
    });
  };
  const spec = { calendars: [], intervals: [{ everyMs: 3_600_000, offsetMs: 0 }], skip: [], timeZone: 'UTC', jitterMs: 0 };
  const head = { id: randomUUIDv7(), name: 'hourly', definition: 'd', spec, catchupMs: 60_000, paused: true, note: null };
  const before = schedulesWith('k1', 1);
  const made = await before.put(head);
  for (let i = 0; i < 8; i++) expect(await before.look(head.id)).toEqual(made);
  const after = schedulesWith('k2', 2);
  expect((await after.look(head.id))?.fingerprint).not.toBe(made.fingerprint);
  const again = await after.put(head);
  expect(await after.look(head.id)).toEqual(again);
  await after.remove(head.id);
  await connection.close();
});
