import { describe, expect, it } from 'vitest';

import { chooseColorLevel } from '../../../src/cli/screen/color-level.ts';

describe('the colours of an output', () => {
  it.each([
    { title: 'none without a terminal', environment: {}, depth: undefined, level: 0 },
    { title: 'those of a terminal with 16', environment: {}, depth: 4, level: 1 },
    { title: 'those of a terminal with 256', environment: { TERM: 'xterm-256color' }, depth: 8, level: 2 },
    { title: 'all of a terminal with true colour', environment: {}, depth: 24, level: 3 },
    { title: 'none of a terminal without', environment: {}, depth: 1, level: 0 },
    { title: 'none on a dumb terminal', environment: { TERM: 'dumb' }, depth: 8, level: 0 },
    { title: 'none with NO_COLOR', environment: { NO_COLOR: '1' }, depth: 24, level: 0 },
    { title: 'those of the terminal with an empty NO_COLOR', environment: { NO_COLOR: '' }, depth: 24, level: 3 },
    { title: '16 with FORCE_COLOR and no terminal', environment: { FORCE_COLOR: '1' }, depth: undefined, level: 1 },
    { title: '16 with an empty FORCE_COLOR', environment: { FORCE_COLOR: '' }, depth: undefined, level: 1 },
    { title: '256 with FORCE_COLOR=2', environment: { FORCE_COLOR: '2' }, depth: undefined, level: 2 },
    { title: 'all with FORCE_COLOR=3', environment: { FORCE_COLOR: '3' }, depth: 4, level: 3 },
    { title: 'those of the terminal with FORCE_COLOR=true', environment: { FORCE_COLOR: 'true' }, depth: 8, level: 2 },
    { title: 'none with FORCE_COLOR=0', environment: { FORCE_COLOR: '0' }, depth: 24, level: 0 },
    { title: 'none with FORCE_COLOR=false', environment: { FORCE_COLOR: 'false' }, depth: 24, level: 0 },
    {
      title: '16 with FORCE_COLOR on a dumb terminal',
      environment: { FORCE_COLOR: '1', TERM: 'dumb' },
      depth: 1,
      level: 1,
    },
    {
      title: 'none with NO_COLOR and FORCE_COLOR',
      environment: { NO_COLOR: '1', FORCE_COLOR: '3' },
      depth: 24,
      level: 0,
    },
  ])('are $title', ({ environment, depth, level }) => {
    expect(chooseColorLevel(environment, depth)).toBe(level);
  });
});
