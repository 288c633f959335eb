import type { Assembler } from '../asm/assembler.ts';
import type { Assembly } from '../asm/code-buffer.ts';
import type { Label } from '../asm/operands.ts';
import type { FramedFunction } from './abi/framed-function.ts';
import { unwindInfo } from './abi/unwind-info.ts';

const RUNTIME_FUNCTION_SIZE_BYTES = 12;

/**
 * Emits the unwind data of all functions, and room for their RUNTIME_FUNCTION table with its length before it.
 *
 * @returns what fills the table in, once the code is assembled
 */
export function emitFunctionTable(
  asm: Assembler,
  functions: readonly FramedFunction[],
  { functionTable, functionCount }: { readonly functionTable: Label; readonly functionCount: Label },
): (assembly: Assembly) => void {
  const unwindLabels = emitUnwindInfo(asm, functions);
  asm.align(4);
  asm.bind(functionCount);
  asm.data(new Uint8Array(Uint32Array.of(functions.length).buffer));
  asm.bind(functionTable);
  asm.data(new Uint8Array(functions.length * RUNTIME_FUNCTION_SIZE_BYTES));

  return ({ bytes, offsetOf }) => {
    const table = new DataView(bytes.buffer, bytes.byteOffset + offsetOf(functionTable));
    // The unwinder searches the table by bisection.
    functions
      .toSorted((a, b) => offsetOf(a.begin) - offsetOf(b.begin))
      .forEach((entry, index) => {
        const unwind = unwindLabels.get(entry);
        if (unwind === undefined) throw new Error(`no unwind data for ${entry.begin.name}`);
        table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES, offsetOf(entry.begin), true); // DWORD BeginAddress
        table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES + 4, offsetOf(entry.end), true); // DWORD EndAddress
        table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES + 8, offsetOf(unwind), true); // DWORD UnwindData
      });
  };
}

/** Emits one UNWIND_INFO for each shape of frame. */
function emitUnwindInfo(asm: Assembler, functions: readonly FramedFunction[]): Map<FramedFunction, Label> {
  const byContent = new Map<string, Label>();
  const byFunction = new Map<FramedFunction, Label>();
  for (const entry of functions) {
    const info = unwindInfo(entry.frame);
    const content = info.join();
    let label = byContent.get(content);
    if (label === undefined) {
      asm.align(4);
      label = asm.bind(asm.label('UNWIND_INFO'));
      asm.data(info);
      byContent.set(content, label);
    }
    byFunction.set(entry, label);
  }
  return byFunction;
}
