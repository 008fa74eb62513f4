import { expect, test } from '@jest/globals';
import { createRouteTable } from '../../src/api/http/routeTable.ts';
import { routes } from '../../src/api/routes.ts';

const table = (...paths: string[]) => createRouteTable(paths.map((path) => ({ method: 'get', path })));

test('every route of the API is found by a path of its own', () => {
  const find = createRouteTable(routes);
  for (const route of routes) {
    const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const found = find(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, 'of-$1'));
    expect(found).toEqual({ route, params: Object.fromEntries(names.map((name) => [name, `of-${name}`])) });
  }
});

test('a path without parameters comes before one with them, wherever it stands', () => {
  expect(table('/runs/{id}', '/runs/bulk')('GET', '/runs/bulk')).toMatchObject({ route: { path: '/runs/bulk' }, params: {} });
});

test('of two patterns the first that fits is meant', () => {
  const find = table('/{kind}/last', '/runs/{id}');
  expect(find('GET', '/runs/last')).toMatchObject({ route: { path: '/{kind}/last' }, params: { kind: 'runs' } });
  expect(find('GET', '/runs/first')).toMatchObject({ route: { path: '/runs/{id}' }, params: { id: 'first' } });
});

test.each([
  ['GET', '/runs/'],
  ['GET', '/runs'],
  ['GET', '/runs/1/'],
  ['GET', '/runs/1/more'],
  ['GET', '/Runs/1'],
  ['POST', '/runs/1'],
  ['HEAD', '/runs/1'],
])('%s %s is another path', (method, path) => {
  expect(table('/runs/{id}')(method, path)).toBeUndefined();
});

test('parameters are decoded, each on its own', () => {
  expect(table('/files/{name}/{part}')('GET', '/files/a%2Fb/%C3%A4')?.params).toEqual({ name: 'a/b', part: 'ä' });
});
