import { expect, test } from '@jest/globals';
import { createUntouched } from '../../src/api/realtime/untouched.ts';
import type { RunView } from '../../src/db/repositories/runs.ts';

function untouched() {
  const on: { change: (change: ReadonlySet<string> | undefined) => void; end: (run: string) => void } = {
    change: () => undefined,
    end: () => undefined,
  };
  const made = createUntouched({
    onChange: (listener) => {
      on.change = listener;
      return () => undefined;
    },
    onEnd: (listener) => {
      on.end = (run) => {
        listener(run, () => {
          throw new Error('not read here');
        });
      };
    },
  });
  const run = { id: 'a', workspace: 'w', status: 'queued' } as RunView;
  made.add(run);
  return {
    ...made,
    ...on,
    run,
    change: (...ids: string[]) => {
      on.change(new Set(ids));
    },
    all: () => {
      on.change(undefined);
    },
    end: (id: string) => {
      on.end(id);
    },
  };
}

test('an accepted run is known as it was accepted until something is committed to it', () => {
  const { get, change, run } = untouched();
  expect(get('a')).toBe(run);
  expect(get('b')).toBeUndefined();
  change('a'); // of its own submit
  expect(get('a')).toBe(run);
  change('b');
  expect(get('a')).toBe(run);
  change('b', 'a');
  expect(get('a')).toBeUndefined();
});

test('its end makes it forgotten', () => {
  const { get, end } = untouched();
  end('a');
  expect(get('a')).toBeUndefined();
});

test('a look at everything makes all forgotten: a notice may have been lost', () => {
  const { get, all } = untouched();
  all();
  expect(get('a')).toBeUndefined();
});
