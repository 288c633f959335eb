import { describe, expect, it } from 'vitest';

import { explainLoadFailure, isEnforced } from '../../../src/cli/startup/load-failure.ts';

/** koffi keeps the reason to itself. */
const fromKoffi = { message: 'Cannot find the native Koffi module; did you bundle it correctly?' };

/** As Node.js has them: the text of Windows, and the path of the file. */
const refusal = (text: string) => ({
  code: 'ERR_DLOPEN_FAILED',
  message: `${text}\r\n\\\\?\\C:\\Users\\jane\\node_modules\\@koromix\\koffi-win32-x64\\win32_x64\\koffi.node`,
});
const english = refusal('An Application Control policy has blocked this file.');
const german = refusal('Eine Anwendungssteuerungsrichtlinie hat diese Datei blockiert.');

const on = () => true;
const off = () => false;

describe('koffi that cannot be loaded', () => {
  it.each([
    ['because of Smart App Control, in English', english, on, /Smart App Control is on.*\(An Application Control/],
    ['because of Smart App Control, in another language', german, on, /Smart App Control is on.*\(Eine Anwendungs/],
    ['because of another policy', english, off, /a policy of this machine refuses.*allows koffi\.node by its hash/],
    ['because of a policy, perhaps', german, off, /install unclosed again, and to ask whether a policy/],
    ['for another reason', refusal('The specified module could not be found.'), off, /\(The specified module could/],
  ])('%s', (_, error, isOn, expected) => {
    const text = explainLoadFailure(fromKoffi, error, isOn);
    expect(text).toMatch(expected);
    expect(text).not.toMatch(/jane|\n|turn|disable/); // one line, no path, and no advice that weakens a machine
  });

  it.each([
    ['that is not there', undefined],
    ['whose package is not there', { code: 'MODULE_NOT_FOUND', message: 'Cannot find module koffi' }],
  ])('of a binary %s: the registry is not asked', (_, error) => {
    const ask = () => {
      throw new Error('asked');
    };
    expect(explainLoadFailure(fromKoffi, error, ask)).toMatch(/Try to install unclosed again, with optional/);
  });
});

it.each([
  ['    VerifiedAndReputablePolicyState    REG_DWORD    0x1\r\n', true],
  ['    VerifiedAndReputablePolicyState    REG_DWORD    0x2\r\n', false],
  ['    VerifiedAndReputablePolicyState    REG_DWORD    0x0\r\n', false],
  ['', false],
])('the answer %j of the registry', (answer, expected) => {
  expect(isEnforced(answer)).toBe(expected);
});
