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
  return {
    ...made,
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
  const { mark, add, get, change, run } = untouched();
  add(run, mark());
  expect(get('a')).toBe(run);
  expect(get('b')).toBeUndefined();
  change('a'); // of its own submit
  expect(get('a')).toBe(run);
  change('b');
  expect(get('a')).toBe(run);
  change('b', 'a');
  expect(get('a')).toBeUndefined();
});

test('the notice of its submit may come before the answer', () => {
  const { mark, add, get, change, run } = untouched();
  const before = mark();
  change('a');
  add(run, before);
  expect(get('a')).toBe(run);
  change('a');
  expect(get('a')).toBeUndefined();
});

test('its end makes it forgotten, also one that comes before the answer', () => {
  const { mark, add, get, end, run } = untouched();
  const before = mark();
  add(run, before);
  end('a');
  expect(get('a')).toBeUndefined();
  end('b');
  add({ ...run, id: 'b' }, before);
  expect(get('b')).toBeUndefined();
});

test('a look at everything makes all forgotten, also those that were being submitted: a notice may have been lost', () => {
  const { mark, add, get, all, run } = untouched();
  const before = mark();
  add(run, before);
  all();
  expect(get('a')).toBeUndefined();
  add({ ...run, id: 'b' }, before);
  expect(get('b')).toBeUndefined();
  add(run, mark());
  expect(get('a')).toBe(run);
});
