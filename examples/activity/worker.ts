/**
 * A worker of your own in TypeScript: the activities that tasks of the kind `activity` call on the task queue `example-typescript`.
 *
 * TEMPORAL_ADDRESS  host:port of Temporal; without it, what .tiu/stack.json says of the stack that `npm start` has started
 * TIU_CODEC         address of the codec server, `.../api/v1/codec` or `.../api/v1/codec/TOKEN`, where payloads are sealed
 * TIU_TOKEN         API key with payloads:read and payloads:write, for a codec server without a token in its address
 */
import fs from 'node:fs';
import path from 'node:path';
import { activityInfo, heartbeat, log } from '@temporalio/activity';
import { ApplicationFailure, type Payload, type PayloadCodec } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';

const STATE = path.join(import.meta.dirname, '../../.tiu');

const activities = {
  writePrice: (amount: number, { currency }: { currency: string }): Promise<string> => {
    if (!Number.isFinite(amount)) throw ApplicationFailure.nonRetryable(`${amount} is no amount`, 'NoAmount');
    // The same for every attempt: what an outside system can tell repetitions by.
    log.info('writing a price', { for: activityInfo().workflowExecution?.workflowId });
    heartbeat();
    return Promise.resolve(new Intl.NumberFormat('en', { style: 'currency', currency }).format(amount));
  },
};

type Wire = { payloads: { metadata?: Record<string, string>; data?: string }[] };
const bytes = (text = ''): Uint8Array => Buffer.from(text, 'base64');
const base64 = (data: Uint8Array | null | undefined): string => Buffer.from(data ?? []).toString('base64');

/** Seals and opens payloads by the codec server, so that the key of the installation stays where it is. */
function codecServer(url: string, token: string | undefined): PayloadCodec {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const ask = async (what: 'encode' | 'decode', payloads: Payload[]): Promise<Payload[]> => {
    const sent: Wire['payloads'] = payloads.map(({ metadata, data }) => ({
      metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)])),
      data: base64(data),
    }));
    const answer = await fetch(`${url}/${what}`, { method: 'POST', headers, body: JSON.stringify({ payloads: sent }) });
    if (!answer.ok) throw new Error(`the codec server answers ${answer.status}`);
    return ((await answer.json()) as Wire).payloads.map(({ metadata = {}, data }) => ({
      metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, bytes(value)])),
      data: bytes(data),
    }));
  };
  return { encode: (payloads) => ask('encode', payloads), decode: (payloads) => ask('decode', payloads) };
}

/** Where Temporal and the codec server are: as the environment says, else those of `npm start`. */
function place(): { address: string; codec: string | undefined } {
  const { TEMPORAL_ADDRESS, TIU_CODEC } = process.env;
  if (TEMPORAL_ADDRESS !== undefined) return { address: TEMPORAL_ADDRESS, codec: TIU_CODEC };
  const stack = JSON.parse(fs.readFileSync(path.join(STATE, 'stack.json'), 'utf8')) as { temporal: string; api: string };
  const token = path.join(STATE, 'codec.token');
  const codec = fs.existsSync(token) ? `${stack.api}/api/v1/codec/${fs.readFileSync(token, 'utf8').trim()}` : undefined;
  return { address: stack.temporal, codec };
}

const { address, codec } = place();
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  taskQueue: 'example-typescript',
  activities,
  ...(codec !== undefined && {
    dataConverter: {
      payloadCodecs: [codecServer(codec, process.env.TIU_TOKEN)],
      failureConverterPath: path.join(import.meta.dirname, 'failures.ts'),
    },
  }),
});
const running = worker.run();
console.log('working on example-typescript');
await running;
await connection.close();
