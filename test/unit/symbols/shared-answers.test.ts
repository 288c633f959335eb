import { expect, test } from 'vitest';

import type { Module } from '../../../src/process/modules.ts';
import { ModuleAnswers, SharedAnswers } from '../../../src/symbols/shared-answers.ts';

const module: Module = { base: 0x1000n, sizeBytes: 0x3000, name: 'a.dll', path: 'C:\\a.dll', isSystem: false };
const file = { path: module.path, version: 'one', userPaths: [] };
const frames = (name: string) => () => [{ module: 'a.dll', function: name, offset: 1 }];

test('an answer is found out once, wherever the module lies', () => {
  const shared = new SharedAnswers();
  const first = shared.of(module, file).frames('return', 0x10, frames('first'));
  expect(shared.of({ ...module, base: 0x9000n }, file).frames('return', 0x10, frames('second'))).toBe(first);
});

test('another address, or another kind of it, has an answer of its own', () => {
  const answers = new SharedAnswers().of(module, file);
  answers.frames('return', 0x10, frames('first'));
  expect(answers.frames('return', 0x11, frames('second'))[0]?.function).toBe('second');
  expect(answers.frames('exact', 0x10, frames('third'))[0]?.function).toBe('third');
});

test.each<[what: string, module: Partial<Module>, file: Partial<typeof file>]>([
  ['another version of the file', {}, { version: 'two' }],
  ['another path', {}, { path: 'D:\\a.dll' }],
  ['another size in memory', { sizeBytes: 0x4000 }, {}],
  ['another name in the loader', { name: 'A.DLL' }, {}],
  ['being one of the system', { isSystem: true }, {}],
])('%s has answers of its own', (_what, otherModule, otherFile) => {
  const shared = new SharedAnswers();
  shared.of(module, file).frames('return', 0x10, frames('first'));
  const other = shared.of({ ...module, ...otherModule }, { ...file, ...otherFile });
  expect(other.frames('return', 0x10, frames('second'))[0]?.function).toBe('second');
});

test('the answers about an earlier version do not come back with it', () => {
  const shared = new SharedAnswers();
  shared.of(module, file).isCode(0x10, () => true);
  shared.of(module, { ...file, version: 'two' });
  expect(shared.of(module, file).isCode(0x10, () => false)).toBe(false);
});

test('an answer that was being found out when another file was seen to be there is for its asker alone', () => {
  const answers = new SharedAnswers().of(module, file);
  const find = () => {
    answers.stopKeeping();
    return true;
  };
  expect(answers.isCode(0x10, find)).toBe(true);
  expect(answers.isCode(0x10, () => false)).toBe(false);
});

test('that there is no code of Go is an answer, too', () => {
  const answers = new ModuleAnswers();
  expect(answers.goCode(() => undefined)).toBeUndefined();
  expect(answers.goCode(() => ({ begin: 1, sizeBytes: 1 }))).toBeUndefined();
});
