import {
  Code,
  Decoder,
  DecoderOptions,
  FlowControl,
  type Instruction,
  InstructionInfoFactory,
  Mnemonic,
  OpAccess,
  OpKind,
  Register,
  RegisterExt,
} from 'iced-x86';

import { hookTable } from '../../../../src/agent/tables/hook-table.ts';
import { type AgentCode, CALL_TRAMPOLINE_SIZE_BYTES } from '../../../../src/agent/linkage/agent-code.ts';
import {
  entryState,
  isSame,
  join,
  type MachineState,
  nonVolatile,
  readPlace,
  registers,
  type Value,
  valueAtEntry,
} from './machine-state.ts';

/** A call that leaves the agent's own code. */
export interface OutwardCall {
  readonly at: number;
  /** An import of ntdll, the real call of a hook, or a function whose address is in data. */
  readonly kind: 'import' | 'real' | 'data';
  /** The displacement of the address in data. */
  readonly displacement: number;
  readonly state: MachineState;
}

/** All that can be reached from one entry, with the routines that it calls left out. */
export interface ExploredFunction {
  readonly entry: number;
  readonly states: ReadonlyMap<number, MachineState>;
  readonly outward: readonly OutwardCall[];
  readonly calls: readonly { readonly at: number; readonly target: number; readonly state: MachineState }[];
  /** Where a tail jump leads: the hooks of rows that are alike share a body. */
  readonly tail: number | undefined;
  /** Registers that have their values of the entry at every return. */
  readonly kept: ReadonlySet<Register>;
  readonly errors: readonly string[];
}

/** The value of an import. */
const IMPORTED = 'imported';

const volatile: readonly Register[] = registers.filter((each) => !nonVolatile.includes(each));

/** Explores the code of the agent from its hooks on, and remembers every function that it meets. */
export class Explorer {
  readonly #code: AgentCode;
  readonly #info = new InstructionInfoFactory();
  readonly #begins: ReadonlySet<number>;
  readonly #explored = new Map<number, ExploredFunction>();
  /** Functions on the way to the present one: each calls the next. */
  readonly #open = new Set<number>();

  /** @param begins of the functions that have unwind data: a jump to one is a tail jump */
  constructor(code: AgentCode, begins: ReadonlySet<number>) {
    this.#code = code;
    this.#begins = begins;
  }

  get functions(): readonly ExploredFunction[] {
    return [...this.#explored.values()];
  }

  explore(entry: number): ExploredFunction {
    const known = this.#explored.get(entry);
    if (known !== undefined) return known;
    this.#open.add(entry);
    const states = new Map<number, MachineState>([[entry, entryState]]);
    const errors = new Set<string>();
    const outward = new Map<number, OutwardCall>();
    const calls = new Map<number, ExploredFunction['calls'][number]>();
    let kept: ReadonlySet<Register> | undefined;
    let tail: number | undefined;
    const leave = (state: MachineState, fail: (what: string) => void): readonly Register[] => {
      if (state.rsp !== 0) fail(`leaves with rsp at ${state.rsp}`);
      const same = registers.filter((each) => state.values.get(each) === valueAtEntry(each));
      for (const each of nonVolatile) if (!same.includes(each)) fail(`leaves with another ${Register[each]}`);
      return same;
    };
    const pending = [entry];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      const state = states.get(at)!;
      const instruction = this.#decode(at);
      const where = `${at.toString(16)} ${Mnemonic[instruction.mnemonic]}`;
      const fail = (what: string): void => void errors.add(`${where}: ${what}`);
      const goOn = (target: number, next: MachineState): void => {
        const before = states.get(target);
        const joined = before === undefined ? next : join(before, next);
        if (joined === undefined) return fail(`comes to ${target.toString(16)} with another rsp`);
        if (before !== undefined && isSame(before, joined)) return;
        states.set(target, joined);
        pending.push(target);
      };
      const end = at + instruction.length;
      if (instruction.code === Code.INVALID || instruction.isPrivileged) fail('is no instruction for an agent');
      else
        switch (instruction.flowControl) {
          case FlowControl.Next:
            goOn(end, this.#step(instruction, state, fail));
            break;
          case FlowControl.UnconditionalBranch: {
            const target = Number(instruction.nearBranchTarget);
            if (target === entry || !this.#begins.has(target)) {
              goOn(target, state);
              break;
            }
            tail = target;
            const lost = this.#lost(target);
            kept = new Set(leave(state, fail).filter((each) => !lost.includes(each)));
            break;
          }
          case FlowControl.ConditionalBranch:
            goOn(Number(instruction.nearBranchTarget), state);
            goOn(end, state);
            break;
          case FlowControl.Call: {
            const target = Number(instruction.nearBranchTarget);
            if (this.#isTrampoline(target)) {
              outward.set(at, { at, kind: 'real', displacement: 0, state });
              goOn(end, clobber(state, volatile));
            } else {
              calls.set(at, { at, target, state });
              const lost = this.#open.has(target) ? volatile : this.#lost(target);
              goOn(end, clobber(state, lost));
            }
            break;
          }
          case FlowControl.IndirectCall:
            outward.set(at, {
              at,
              kind: this.#kindOf(instruction, state),
              displacement: Number(instruction.memoryDisplacement),
              state,
            });
            goOn(end, clobber(state, volatile));
            break;
          case FlowControl.Return: {
            if (instruction.code !== Code.Retnq) fail('is no plain return');
            const same = leave(state, fail);
            kept = new Set(kept === undefined ? same : same.filter((each) => kept!.has(each)));
            break;
          }
          case FlowControl.Interrupt: // the breakpoint in the place of a hook's return
            if (instruction.code !== Code.Int3) fail('is another interrupt than a breakpoint');
            goOn(end, state);
            break;
          default:
            fail('leaves by a way that is not known');
        }
      instruction.free();
    }
    this.#open.delete(entry);
    const explored: ExploredFunction = {
      entry,
      states,
      outward: [...outward.values()],
      calls: [...calls.values()],
      tail,
      kept: kept ?? new Set(registers),
      errors: [...errors],
    };
    this.#explored.set(entry, explored);
    return explored;
  }

  #lost(target: number): readonly Register[] {
    const { kept } = this.explore(target);
    return registers.filter((each) => !kept.has(each));
  }

  #decode(at: number): Instruction {
    const decoder = new Decoder(64, this.#code.bytes.subarray(at, at + 16), DecoderOptions.None);
    decoder.ip = BigInt(at);
    const instruction = decoder.decode();
    decoder.free();
    return instruction;
  }

  #isTrampoline(target: number): boolean {
    const distance = target - this.#code.callTrampolinesOffset;
    return distance >= 0 && distance < hookTable.length * CALL_TRAMPOLINE_SIZE_BYTES;
  }

  #kindOf(instruction: Instruction, { values }: MachineState): OutwardCall['kind'] {
    if (instruction.op0Kind === OpKind.Register)
      return values.get(instruction.op0Register) === IMPORTED ? 'import' : 'data';
    if (instruction.memoryBase === Register.RSP) return 'real';
    return this.#isImport(instruction) ? 'import' : 'data';
  }

  /** Whether an instruction reads the slot of an import, which holds an address. */
  #isImport(instruction: Instruction): boolean {
    const { ntdllImports, ntdllImportsOffset } = this.#code;
    const slot = (Number(instruction.ipRelMemoryAddress) - ntdllImportsOffset) / 8;
    return instruction.isIpRelMemoryOperand && slot >= 0 && slot < ntdllImports.length;
  }

  /** The state behind an instruction that goes on with the next. */
  #step(instruction: Instruction, state: MachineState, fail: (what: string) => void): MachineState {
    const values = new Map(state.values);
    const places = new Map(state.places);
    let { rsp } = state;
    const [to, from] = [instruction.op0Register, instruction.op1Register];
    const target = this.#placeOf(instruction, state);
    switch (instruction.code) {
      case Code.Push_r64:
        rsp -= 8;
        places.set(rsp, values.get(to));
        return { rsp, values, places };
      case Code.Pop_r64:
        values.set(to, readPlace(state, rsp));
        return { rsp: rsp + 8, values, places };
      case Code.Sub_rm64_imm8:
      case Code.Sub_rm64_imm32:
      case Code.Add_rm64_imm8:
      case Code.Add_rm64_imm32:
        if (to !== Register.RSP) break;
        rsp += Number(instruction.immediate(1)) * (instruction.mnemonic === Mnemonic.Add ? 1 : -1);
        return { rsp, values, places: new Map([...places].filter(([at]) => at >= rsp)) };
      case Code.Mov_r64_rm64:
      case Code.Mov_rm64_r64:
        if (instruction.op0Kind === OpKind.Register && to !== Register.RSP) {
          const isCopy = instruction.op1Kind === OpKind.Register && from !== Register.RSP;
          const read = target === undefined ? undefined : readPlace(state, target);
          values.set(to, isCopy ? values.get(from) : this.#isImport(instruction) ? IMPORTED : read);
          return { rsp, values, places };
        }
        if (target !== undefined) {
          this.#checkWrite(state, target, 8, fail);
          places.set(target, values.get(from));
          return { rsp, values, places };
        }
        break;
      default:
    }
    const info = this.#info.info(instruction);
    for (const used of info.usedRegisters()) {
      const whole = RegisterExt.fullRegister(used.register);
      if (isWrite(used.access)) {
        if (whole === Register.RSP) fail('changes rsp');
        else if (values.has(whole)) values.set(whole, undefined);
      }
      used.free();
    }
    for (const used of info.usedMemory()) {
      if (isWrite(used.access) && target !== undefined) {
        this.#checkWrite(state, target, 8, fail);
        places.set(target - (target % 8), undefined);
      }
      used.free();
    }
    info.free();
    return { rsp, values, places };
  }

  /** Neither the return address nor a register that is kept for the caller may be written over. */
  #checkWrite(state: MachineState, at: number, sizeBytes: number, fail: (what: string) => void): void {
    const kept = nonVolatile.map(valueAtEntry);
    const value: Value = state.places.get(at);
    const isLost = value !== undefined && kept.includes(value);
    if (at < state.rsp || (at > -sizeBytes && at < 8) || isLost) fail(`writes to the frame at ${at}`);
  }

  /** The distance of a memory operand from rsp at the entry; undefined for any other memory. */
  #placeOf(instruction: Instruction, { rsp }: MachineState): number | undefined {
    const isFrame = instruction.memoryBase === Register.RSP && instruction.memoryIndex === Register.None;
    return isFrame ? rsp + Number(BigInt.asIntN(64, instruction.memoryDisplacement)) : undefined;
  }
}

function isWrite(access: OpAccess): boolean {
  return (
    access !== OpAccess.Read &&
    access !== OpAccess.None &&
    access !== OpAccess.NoMemAccess &&
    access !== OpAccess.CondRead
  );
}

function clobber(state: MachineState, lost: readonly Register[]): MachineState {
  const values = new Map(state.values);
  for (const each of lost) values.set(each, undefined);
  return { ...state, values };
}
