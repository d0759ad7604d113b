// The types are those of the server's description.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

type Generate = (description: unknown) => string;
const { generate } = (await import(new URL('../generate.mjs', import.meta.url).href)) as { generate: Generate };

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

/** The types of a description that has one schema. */
function typesOf(schema: object, more: object = {}): string {
  return generate({ paths: {}, components: { schemas: { It: schema } }, ...more });
}

test('the committed types are what the description says', () => {
  const wanted = generate(JSON.parse(read('../../../docs/openapi.json')));
  assert.equal(read('../src/generated.ts'), wanted, 'run `npm run generate` in clients/typescript');
});

test('each kind of schema has its type', () => {
  const check = (schema: object, expected: string) => {
    assert(typesOf(schema).includes(expected), `${expected}\nis not in\n${typesOf(schema)}`);
  };
  check({ type: 'string', enum: ['a', "b's"] }, "export type It = 'a' | 'b\\'s';");
  check({ type: ['integer', 'null'], minimum: 0 }, 'export type It = number | null;');
  check({ type: 'array', items: { $ref: '#/components/schemas/Other.One' } }, 'export type It = Array<Other_One>;');
  check({ type: 'object' }, 'export type It = Record<string, unknown>;');
  check({ type: 'object', additionalProperties: { type: 'boolean' } }, 'export type It = Record<string, boolean>;');
  check({ oneOf: [{ type: 'null' }, { $ref: '#/components/schemas/A' }] }, 'export type It = null | A;');
  check({ allOf: [{ $ref: '#/components/schemas/A' }, { oneOf: [{ const: 1 }, { const: 2 }] }] }, 'export type It = A & (1 | 2);');
  check(
    {
      type: 'object',
      description: 'First.\n\nNot the end: */',
      properties: { a: { type: 'number', description: 'One.' }, 'x-b': { type: 'string' } },
      required: ['x-b'],
    },
    [
      '/**',
      ' * First.',
      ' *',
      ' * Not the end: *\\/',
      ' */',
      'export interface It {',
      '  /** One. */',
      '  a?: number | undefined;',
      "  'x-b': string;",
      '}',
    ].join('\n'),
  );
});

test('operations have their parameters, body and answer', () => {
  const json = (type: string) => ({ content: { 'application/json': { schema: { type } } } });
  const parameters = [
    { in: 'path', name: 'id', required: true, schema: { type: 'string' } },
    { in: 'query', name: 'created[gte]', schema: { type: 'integer' } },
    { in: 'header', name: 'Idempotency-Key', required: true, schema: { type: 'string' } },
  ];
  const operation = { operationId: 'do_it', parameters, requestBody: json('boolean'), responses: { 404: {}, 202: json('number') } };
  const text = generate({ paths: { '/it/{id}': { post: operation } } });
  const expected = `  do_it: {
    path: {
      id: string;
    };
    query: {
      'created[gte]'?: number | undefined;
    };
    body: boolean;
    answer: number;
  };`;
  assert(text.includes(expected), text);
  assert(text.includes("  do_it: { method: 'POST', path: '/it/{id}' },"), text);
});

test('what the generator does not understand is an error', () => {
  assert.throws(() => typesOf({ patternProperties: {} }), /schema It: .* keyword patternProperties/);
  assert.throws(() => typesOf({ type: 'file' }), /schema It: .* type file/);
  assert.throws(() => typesOf({ $ref: 'other.json' }), /schema It: .* other\.json/);
  const operation = { operationId: 'twice', responses: {} };
  assert.throws(() => generate({ paths: { '/a': { get: operation, post: operation } } }), /twice/);
  assert.throws(() => generate({ paths: { '/a': { get: { responses: {} } } } }), /operation id/);
});
