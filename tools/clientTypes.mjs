// The types of the client, made from the API's document. Problems are left out: the client reads them itself, all alike.
import openapi, { astToString } from 'openapi-typescript';

/** @param {object} document OpenAPI 3.1 @returns {Promise<string>} the text of src/client/types.gen.ts */
export async function clientTypes(document) {
  const copy = JSON.parse(JSON.stringify(document));
  for (const operations of Object.values(copy.paths))
    for (const operation of Object.values(operations)) {
      if (operation.responses === undefined) continue;
      operation.responses = Object.fromEntries(Object.entries(operation.responses).filter(([status]) => status < '300'));
      for (const response of Object.values(operation.responses)) delete response.headers;
      for (const body of [operation.requestBody, ...Object.values(operation.responses)]) keepJson(body);
    }
  const nodes = await openapi(copy, { exportType: true, alphabetize: true });
  return `// Made from docs/openapi.json by \`npm run generate\`, a line for each path, schema and operation.\n${lineForEach(astToString(nodes))}`;
}

/** Members two levels deep on one line each: a changed route is a changed line. */
function lineForEach(text) {
  return text.replaceAll(/\n {8,}/g, ' ').replaceAll(/\n {4}(?=[}\]])/g, ' ');
}

/** Where there is a choice, the client speaks JSON. */
function keepJson(body) {
  const json = body?.content?.['application/json'];
  if (json !== undefined) body.content = { 'application/json': json };
}
