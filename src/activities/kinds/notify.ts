import type { Json, JsonObject } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import type { Outgoing } from '../../providers/http/circuits.ts';
import type { Mailer } from '../../providers/mail/mailer.ts';
import { signWebhook } from '../../providers/webhook/signWebhook.ts';
import type { WebhookKey } from '../../providers/webhook/webhookKeys.ts';
import type { Execution, Executor } from './executor.ts';
import { unexpectedStatus } from './unexpectedStatus.ts';

export type NotifyDeps = {
  mailer: Mailer;
  http: Outgoing;
  webhookKeys: readonly WebhookKey[];
  /** Milliseconds since 1970. */
  now: () => number;
};

/** Tells somebody, once or, after a failure in between, again under the same id. */
export function createNotify(deps: NotifyDeps): Executor {
  return async (input, execution) => {
    execution.signal.throwIfAborted();
    if (input.channel === 'mail') return mail(deps, input, execution);
    if (input.channel === 'webhook') return webhook(deps, input, execution);
    return slack(deps, input, execution);
  };
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

async function mail({ mailer }: NotifyDeps, input: JsonObject, { key, signal }: Execution): Promise<Json> {
  const to = [input.to].flat().map(textOf);
  const html = typeof input.html === 'string' ? { html: input.html } : {};
  const sent = await mailer.send({ key, to, subject: textOf(input.subject), text: textOf(input.text), ...html, signal });
  return { channel: 'mail', ...sent };
}

async function webhook(deps: NotifyDeps, input: JsonObject, execution: Execution): Promise<Json> {
  const { webhookKeys: keys, now } = deps;
  if (keys.length === 0)
    throw new Problem('not_configured', {
      detail: 'Webhooks are not set up: the operator has to set TIU_WEBHOOK_KEYS on the worker',
      data: { setting: 'TIU_WEBHOOK_KEYS', hint: 'one or more keys, id:base64 of 24 to 64 bytes each, by commas' },
    });
  const told = Object.fromEntries(
    ['subject', 'text', 'html', 'data'].flatMap((name) => (input[name] === undefined ? [] : [[name, input[name]]])),
  );
  const { runId, taskId, key } = execution;
  const body = JSON.stringify({ type: 'notice', data: { ...told, runId, taskId } });
  const { status } = await post(deps, execution, { url: urlOf(input), body, headers: signWebhook(keys, { id: key, at: now(), body }) });
  return { channel: 'webhook', id: key, status, keys: keys.map(({ id }) => id) };
}

async function slack(deps: NotifyDeps, input: JsonObject, execution: Execution): Promise<Json> {
  const text = [input.subject, input.text]
    .map(textOf)
    .filter((part) => part !== '')
    .join('\n');
  const { status } = await post(deps, execution, { url: urlOf(input), body: JSON.stringify({ text }), headers: {} });
  return { channel: 'slack', id: execution.key, status };
}

function urlOf({ to }: JsonObject): string {
  if (typeof to !== 'string') throw new Problem('invalid_task_input', { detail: 'with.to: this channel takes one address' });
  return to;
}

type Posted = { url: string; body: string; headers: Record<string, string> };
const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** What the receiver says besides its status is of no interest. */
async function post(deps: NotifyDeps, execution: Execution, { url, body, headers }: Posted): Promise<{ status: number }> {
  const { key, signal, workspace } = execution;
  const response = await deps.http.send({
    ...{ method: 'POST', url, body: Buffer.from(body), signal, workspace, expects: isSuccess },
    headers: { 'content-type': 'application/json', 'user-agent': 'tiu', 'accept-encoding': 'identity', 'idempotency-key': key, ...headers },
  });
  if (!isSuccess(response.status)) throw await unexpectedStatus(response, { signal, now: deps.now() });
  response.body.destroy();
  return { status: response.status };
}
