import { describe, expect, it } from 'vitest';
import { type Host, hostVariable, readHost } from '../../../src/wine/host.ts';

describe('readHost', () => {
  it('gives back what the launcher wrote', () => {
    const host: Host = {
      wine: 'wine-8.0',
      stderr: { columns: 80, colorDepth: 8, path: 'Z:\\dev\\pts\\1' },
      launch: 'x',
    };
    expect(readHost({ [hostVariable]: JSON.stringify(host) })).toEqual(host);
  });

  it.each([[{}], [{ [hostVariable]: '' }]])('is undefined where no launcher was: %j', (environment) => {
    expect(readHost(environment)).toBeUndefined();
  });

  it.each(['wine', '{', 'null', '[]', '{}', '{"wine":8}'])('refuses %j', (text) => {
    expect(() => readHost({ [hostVariable]: text })).toThrow(/^Cannot read UNCLOSED_HOST: /);
  });
});
