import path from 'node:path';

export type FirstHour = { submit: string; follow: string; cancel: string };

const DEFINITION = {
  dsl: 'tiu/1',
  name: 'first-hour',
  tasks: {
    greet: { type: 'transform', with: { value: '${"Hello, " + input.name}' } },
    pause: { type: 'wait', with: { for: 'PT2M' }, dependsOn: ['greet'] },
  },
};

/**
 * Three commands for a shell: submit a run and wait a second for it, follow its events, cancel it from another terminal.
 * @param runId uuid v7, made within the last day
 */
export function firstHour(stack: { api: string; keyFile: string }, runId: string): FirstHour {
  const keyFile = path.relative(process.cwd(), stack.keyFile);
  const curl = `curl -sS -H "authorization: Bearer $(cat ${keyFile})"`;
  const body = JSON.stringify({ runId, definition: DEFINITION, input: { name: 'you' } });
  const run = `${stack.api}/api/v1/runs/${runId}`;
  return {
    submit: `${curl} -H 'content-type: application/json' -H 'prefer: wait=1' -d '${body}' ${stack.api}/api/v1/runs`,
    follow: `${curl} -N -H 'accept: text/event-stream' '${run}/events?after=0'`,
    cancel: `${curl} -H 'content-type: application/json' -H 'idempotency-key: first' -d '{"reason":"seen enough"}' ${run}/cancel`,
  };
}
