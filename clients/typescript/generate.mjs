// Writes src/generated.ts, the client's types, from the server's description in docs/openapi.json.
//
//     node generate.mjs                  write it
//     node generate.mjs --check          compare instead, and fail if they differ
//     node generate.mjs --from FILE      read another description
//
// What it does not understand is an error: a type that is silently `unknown` would hide a change of the server.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
// Keywords that narrow values without changing their TypeScript type, or that only explain.
const WITHOUT_A_TYPE = new Set([
  'default', 'deprecated', 'description', 'example', 'examples', 'exclusiveMaximum', 'exclusiveMinimum', 'format',
  'maxItems', 'maxLength', 'maxProperties', 'maximum', 'minItems', 'minLength', 'minProperties', 'minimum',
  'multipleOf', 'pattern', 'propertyNames', 'readOnly', 'title', 'uniqueItems', 'writeOnly',
]);
const WITH_A_TYPE = new Set([
  '$ref', 'additionalProperties', 'allOf', 'anyOf', 'const', 'enum', 'items', 'oneOf', 'properties', 'required', 'type',
]);

/** The text of src/generated.ts for a description. */
export function generate(description) {
  const lines = [
    '// Made from docs/openapi.json by `npm run generate`. Changes made here are lost.',
    '',
  ];
  const schemas = Object.entries(description.components?.schemas ?? {});
  for (const [name, schema] of schemas.sort(byName)) lines.push(...declaration(name, schema), '');

  const operations = [];
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((method) => method in methods)) {
      const operation = methods[method];
      const shared = methods.parameters ?? [];
      operations.push({ ...operation, method, path, parameters: [...shared, ...(operation.parameters ?? [])] });
    }
  }
  operations.sort((a, b) => compare(a.operationId, b.operationId));
  const ids = operations.map((operation) => operation.operationId);
  const repeated = ids.find((id, index) => id === undefined || id === ids[index - 1]);
  if (repeated !== undefined || ids.includes(undefined)) throw new Error(`operation id ${repeated} is missing or not unique`);

  lines.push('/** What each operation takes and answers. */', 'export interface Operations {');
  for (const operation of operations) lines.push(...operationType(description, operation));
  lines.push('}', '', '/** Where each operation is. */', 'export const operations = {');
  for (const { operationId, method, path } of operations) {
    lines.push(`  ${operationId}: { method: '${method.toUpperCase()}', path: '${path}' },`);
  }
  lines.push('} as const satisfies Record<keyof Operations, { method: string; path: string }>;', '');
  return lines.join('\n');
}

function declaration(name, schema) {
  const isPlainObject = schema.properties !== undefined && !('allOf' in schema) && !('additionalProperties' in schema);
  const type = typeOf(schema, '', `schema ${name}`);
  return [
    ...comment(schema.description, ''),
    isPlainObject ? `export interface ${identifier(name)} ${type}` : `export type ${identifier(name)} = ${type};`,
  ];
}

function operationType(description, operation) {
  const where = `${operation.method.toUpperCase()} ${operation.path}`;
  const members = (place) => {
    const parameters = operation.parameters.map((parameter) => resolve(description, parameter));
    const properties = {};
    const required = [];
    for (const parameter of parameters.filter((parameter) => parameter.in === place)) {
      properties[parameter.name] = { description: parameter.description, ...parameter.schema };
      if (parameter.required) required.push(parameter.name);
    }
    return typeOf({ type: 'object', properties, required }, '    ', where);
  };
  const body = operation.requestBody && json(resolve(description, operation.requestBody));
  const success = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1];
  const answer = success && json(resolve(description, success));
  return [
    ...comment(`\`${where}\``, '  '),
    `  ${operation.operationId}: {`,
    `    path: ${members('path')};`,
    `    query: ${members('query')};`,
    `    body: ${body ? typeOf(body, '    ', where) : 'undefined'};`,
    `    answer: ${answer ? typeOf(answer, '    ', where) : 'undefined'};`,
    '  };',
  ];
}

function json(content) {
  return content.content?.['application/json']?.schema;
}

function resolve(description, object) {
  if (object.$ref === undefined) return object;
  const steps = object.$ref.replace(/^#\//, '').split('/');
  return steps.reduce((at, step) => at[step], description);
}

/** The TypeScript type of a JSON schema. */
function typeOf(schema, indent, where) {
  if (schema === true) return 'unknown';
  for (const keyword of Object.keys(schema)) {
    if (!WITHOUT_A_TYPE.has(keyword) && !WITH_A_TYPE.has(keyword) && !keyword.startsWith('x-')) {
      throw new Error(`${where}: generate.mjs does not know the keyword ${keyword}`);
    }
  }
  const all = [];
  if (schema.$ref !== undefined) all.push(reference(schema.$ref, where));
  for (const part of schema.allOf ?? []) all.push(typeOf(part, indent, where));
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives !== undefined) all.push(union(alternatives.map((part) => typeOf(part, indent, where))));
  if (schema.const !== undefined) all.push(literal(schema.const));
  else if (schema.enum !== undefined) all.push(union(schema.enum.map(literal)));
  else if (schema.type !== undefined || schema.properties !== undefined) {
    const types = [schema.type ?? 'object'].flat();
    all.push(union(types.map((type) => plainType(type, schema, indent, where))));
  }
  return all.length === 0 ? 'unknown' : intersection(all);
}

function plainType(type, schema, indent, where) {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `Array<${schema.items === undefined ? 'unknown' : typeOf(schema.items, indent, where)}>`;
    case 'object':
      return objectType(schema, indent, where);
    default:
      throw new Error(`${where}: generate.mjs does not know the type ${type}`);
  }
}

function objectType(schema, indent, where) {
  const parts = [];
  const properties = Object.entries(schema.properties ?? {});
  const inner = `${indent}  `;
  if (0 < properties.length) {
    const members = properties.flatMap(([name, property]) => {
      const isRequired = (schema.required ?? []).includes(name);
      const type = typeOf(property, inner, `${where}, ${name}`);
      const key = /^[a-z_]\w*$/i.test(name) ? name : `'${name}'`;
      const member = isRequired ? `${key}: ${type}` : `${key}?: ${union([type, 'undefined'])}`;
      return [...comment(property.description, inner), `${inner}${member};`];
    });
    parts.push(['{', ...members, `${indent}}`].join('\n'));
  }
  const others = schema.additionalProperties;
  if (others !== undefined && others !== false) parts.push(`Record<string, ${typeOf(others, indent, where)}>`);
  if (parts.length > 0) return intersection(parts);
  return schema.properties === undefined && others === undefined ? 'Record<string, unknown>' : 'Record<never, never>';
}

function reference(ref, where) {
  const name = /^#\/components\/schemas\/([^/]+)$/.exec(ref)?.[1];
  if (name === undefined) throw new Error(`${where}: generate.mjs does not follow ${ref}`);
  return identifier(name);
}

function literal(value) {
  return typeof value === 'string' ? `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'` : String(value);
}

function union(types) {
  return [...new Set(types)].join(' | ');
}

function intersection(types) {
  return types.length === 1 ? types[0] : types.map((type) => (type.includes(' | ') ? `(${type})` : type)).join(' & ');
}

function identifier(name) {
  return name.replaceAll(/\W/g, '_');
}

function comment(text, indent) {
  if (!text) return [];
  const lines = text.trim().replaceAll('*/', '*\\/').split('\n').map((line) => line.trim());
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}

function byName([a], [b]) {
  return compare(a, b);
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = process.argv.slice(2);
  const other = options.indexOf('--from');
  const from = other < 0 ? new URL('../../docs/openapi.json', import.meta.url) : options[other + 1];
  const to = new URL('src/generated.ts', import.meta.url);
  const text = generate(JSON.parse(readFileSync(from, 'utf8')));
  if (!options.includes('--check')) {
    writeFileSync(to, text);
  } else if (readFileSync(to, 'utf8') !== text) {
    console.error('src/generated.ts is not what docs/openapi.json says; run `npm run generate` in clients/typescript');
    process.exitCode = 1;
  }
}
