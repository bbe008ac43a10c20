import { expect, test } from 'vitest';
import type { AssistantPartsFragment } from '../../src/client/client.ts';
import { type Draft, draftOf, inputOf, newDraft, problemsLeft, problemsOf, toolPaths } from '../../src/playground/assistants/draft.ts';

const FULL: AssistantPartsFragment = {
  id: 'asst_1',
  name: 'Travel desk',
  description: null,
  model: 'offline',
  instructions: 'Quote.',
  tools: [
    { __typename: 'FunctionTool', name: 'weather', description: null, parameters: { type: 'object' }, strict: true },
    { __typename: 'FileSearchTool', maxNumResults: 8, rankingOptions: { scoreThreshold: 0.1 } },
    { __typename: 'CodeInterpreterTool', timeoutSeconds: null },
  ],
  toolResources: { codeInterpreter: { fileIds: ['file_1'] }, fileSearch: { vectorStoreIds: ['vs_1'] } },
  responseFormat: { type: 'JSON_SCHEMA', jsonSchema: { name: 'summary', description: null, schema: { type: 'object' }, strict: false } },
  temperature: 0.3,
  topP: null,
  reasoningEffort: 'LOW',
  metadata: { team: 'travel' },
  createdAt: '2026-11-23T12:00:00.000Z',
  updatedAt: '2026-11-23T12:00:00.000Z',
};

test('what is read and sent back changes nothing', () => {
  expect(problemsOf(draftOf(FULL))).toEqual([]);
  expect(inputOf(draftOf(FULL))).toEqual({
    name: 'Travel desk',
    description: null,
    model: 'offline',
    instructions: 'Quote.',
    tools: [
      { codeInterpreter: { timeoutSeconds: null } },
      { fileSearch: { maxNumResults: 8, rankingOptions: { scoreThreshold: 0.1 } } },
      { function: { name: 'weather', description: null, parameters: { type: 'object' }, strict: true } },
    ],
    toolResources: { codeInterpreter: { fileIds: ['file_1'] }, fileSearch: { vectorStoreIds: ['vs_1'] } },
    responseFormat: { jsonSchema: { name: 'summary', description: null, schema: { type: 'object' }, strict: false } },
    temperature: 0.3,
    topP: null,
    reasoningEffort: 'LOW',
    metadata: { team: 'travel' },
  });
});

test('what is not set is sent as null, so that an update takes it away', () => {
  const { tools, toolResources, responseFormat, ...rest } = inputOf(newDraft('offline'));
  expect([tools, toolResources, responseFormat]).toEqual([[], { codeInterpreter: null, fileSearch: null }, { type: 'AUTO' }]);
  const { model, metadata, ...unset } = rest;
  expect([model, metadata, [...new Set(Object.values(unset))]]).toEqual(['offline', {}, [null]]);
});

/** A function that begins as it must not. */
const FUNCTION = { key: 0, name: 'f', description: '', parameters: '{', strict: false };

test.each([
  [false, false],
  [true, false],
  [false, true],
  [true, true],
])('the paths of problems are the places in the input (code interpreter %s, file search %s)', (codeInterpreter, fileSearch) => {
  const draft: Draft = {
    ...newDraft(''),
    codeInterpreter,
    fileSearch,
    temperature: 'warm',
    topP: '0,5',
    timeoutSeconds: '1.5',
    maxNumResults: 'x',
    scoreThreshold: 'y',
    functions: [{ ...FUNCTION, parameters: '{}' }, FUNCTION],
    format: 'JSON_SCHEMA',
    schema: '[',
    metadata: [
      { key: 0, name: 'a', value: '1', kind: 'text' },
      { key: 1, name: 'a', value: '2', kind: 'text' },
    ],
  };
  const paths = problemsOf(draft).map(({ path }) => path);
  const input = inputOf(draft);
  for (const path of paths) {
    const place = path.split('.').reduce<unknown>((value, step) => (value as Record<string, unknown> | null)?.[step], input);
    expect(place, path).not.toBe(undefined);
  }
  expect(paths).toHaveLength(6 + Number(codeInterpreter) + 2 * Number(fileSearch));
  expect(paths).toContain(`${toolPaths(draft).functionAt(1)}.function.parameters`);
});

test('what was said of a field no longer holds once it has another value', () => {
  const problems = ['temperature', 'tools.2.function.name', 'responseFormat.jsonSchema.schema', 'metadata'].map((path) => ({ path, message: '' }));
  const left = (changed: Partial<Draft>) => problemsLeft(problems, changed).map(({ path }) => path);
  expect(left({ temperature: '1' })).toEqual(['tools.2.function.name', 'responseFormat.jsonSchema.schema', 'metadata']);
  expect(left({ functions: [], schema: '' })).toEqual(['temperature', 'metadata']);
  expect(problemsLeft(problems, { name: 'x' })).toBe(problems);
});
