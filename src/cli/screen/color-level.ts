/** 0 no colour, 1 sixteen, 2 256, 3 true colour: chalk's levels. */
export type ColorLevel = 0 | 1 | 2 | 3;

/**
 * The colours of an output. NO_COLOR goes before FORCE_COLOR, that before TERM=dumb, and that before the terminal.
 *
 * Sources: https://no-color.org, https://force-color.org, and Node.js' tty.WriteStream.getColorDepth, whose values
 * FORCE_COLOR has.
 *
 * @param depth the bits of colour that the terminal has, as Node.js counts them; absent where there is none
 */
export function chooseColorLevel(
  environment: Readonly<Record<string, string | undefined>>,
  depth: number | undefined,
): ColorLevel {
  const { NO_COLOR: forbidden, FORCE_COLOR: forced, TERM: terminal } = environment;
  if (forbidden !== undefined && forbidden !== '') return 0;
  const own = depth === undefined || terminal === 'dumb' ? 0 : levelOf(depth);
  switch (forced) {
    case undefined:
      return own;
    case '0':
    case 'false':
      return 0;
    case '2':
      return 2;
    case '3':
      return 3;
    default:
      return own === 0 ? 1 : own;
  }
}

function levelOf(depth: number): ColorLevel {
  return depth >= 24 ? 3 : depth >= 8 ? 2 : depth >= 4 ? 1 : 0;
}
