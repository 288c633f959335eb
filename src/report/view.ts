import type { Report } from '../model.ts';
import { baseName } from './paths.ts';
import type { ReportOptions } from './reporter.ts';
import type { StackView } from './stacks/stack-view.ts';
import { createTheme } from './theme.ts';

const narrowest = 40;
const widest = 120;

/** The means to draw parts of a report for a person. */
export function createView(
  { target }: { readonly target: Pick<Report['target'], 'command'> },
  options: ReportOptions,
): StackView {
  return {
    theme: createTheme(options),
    options,
    width: Math.min(Math.max(Math.floor(options.columns) || widest, narrowest), widest),
    programModule: programModule(target.command[0] ?? ''),
  };
}

function programModule(program: string): string {
  const name = baseName(program).toLowerCase();
  return name.includes('.') ? name : `${name}.exe`;
}
