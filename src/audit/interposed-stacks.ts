import { win32 } from 'node:path';

import { JUMP_FORM_SIZE_BYTES, jumpTarget } from '../agent/patch/jump-target.ts';
import { systemModules } from '../agent/tables/function-table.ts';
import { type Interposers, markInterposed } from '../analyze/interposed.ts';
import type { StackReader } from '../evidence/sources.ts';
import { GetModuleHandleW, GetProcAddress } from '../ffi/kernel32.ts';
import type { Stack } from '../model.ts';
import { tryReadMemory } from '../process/memory.ts';
import type { Module } from '../process/modules.ts';
import type { Target } from '../process/target.ts';

/** The DLLs whose functions other software hooks. They have the same addresses in every process. */
const hookedModules = ['ntdll.dll', ...systemModules] as const;

/** Functions that lead on to one another, so that the one on the stack need not be the one that is hooked. */
const variants = ['', 'A', 'W', 'Ex', 'ExA', 'ExW'] as const;

const PAGE_SIZE_BYTES = 0x1000;

/** Jumps that one hook may go through: from the function to memory near it, and from there to the hook's function. */
const JUMPS_MAX = 4;

/** The names of a target's addresses, and its modules. */
interface Names {
  resolveStack(addresses: readonly bigint[], time?: bigint): Stack;
  moduleOf(address: bigint): Module | undefined;
}

/** Facts of a target that tell who stands between it and Windows. */
interface Facts {
  readonly target: Target;
  /** The program, by whatever path it was started; absent where it is not known. */
  readonly program: Module | undefined;
  /** Names of the system calls that the recorder has hooked. */
  readonly systemCalls: readonly string[];
}

/** The stacks of a target, with the frames marked that other software put between the program and Windows. */
export class InterposedStacks implements StackReader, Interposers {
  readonly #names: Names;
  readonly #facts: Facts;
  /** The directory of the program, in lower case and in all spellings; none where it is not known. */
  readonly #directories: readonly string[];
  /** For the names of modules, in lower case, whether all that have the name are foreign. */
  readonly #areForeign = new Map<string, boolean>();
  readonly #seen = new Set<Module>();
  readonly #areOutside = new Map<Module, boolean>();
  /** For the names of functions, the modules to which their beginnings lead. */
  readonly #hooks = new Map<string, ReadonlySet<string>>();
  readonly #pages = new Map<bigint, Buffer | undefined>();
  #hooksOfCalls: ReadonlySet<string> | undefined;
  /** Names of the modules whose frames were marked. */
  readonly modules: Set<string> = new Set();

  constructor(names: Names, facts: Facts) {
    this.#names = names;
    this.#facts = facts;
    const { program } = facts;
    const spellings = program === undefined ? [] : [program, names.moduleOf(program.base) ?? program];
    this.#directories = spellings.map((module) => win32.join(win32.dirname(plainPath(module)), '\\'));
  }

  resolveStack(addresses: readonly bigint[], time?: bigint): Stack {
    for (const address of addresses) this.#see(this.#names.moduleOf(address));
    const stack = markInterposed(this.#names.resolveStack(addresses, time), this);
    for (const { interposed, module } of stack) if (interposed === true) this.modules.add(module);
    return stack;
  }

  moduleOf(address: bigint): Module | undefined {
    return this.#names.moduleOf(address);
  }

  programAddress(addresses: readonly bigint[]): bigint | undefined {
    const first = addresses.find((address) => this.#names.moduleOf(address)?.isSystem === false);
    const module = first === undefined ? undefined : this.#names.moduleOf(first);
    if (module === undefined || !this.#isOutside(module)) return first;
    const stack = this.resolveStack(addresses);
    const passed = new Set(stack.flatMap((frame) => (frame.interposed === true ? [frame.module] : [])));
    return addresses.find((address) => {
      const found = this.#names.moduleOf(address);
      return found?.isSystem === false && !passed.has(found.name);
    });
  }

  isForeign(module: string): boolean {
    return this.#areForeign.get(module) === true;
  }

  isHooked(module: string, name: string | undefined): boolean {
    if (name === undefined) {
      this.#hooksOfCalls ??= this.#findHooks(this.#facts.systemCalls, ['ntdll.dll']);
      return this.#hooksOfCalls.has(module);
    }
    let hooks = this.#hooks.get(name);
    if (hooks === undefined) {
      const stem = name.replace(/(?<=[a-z\d])(?:Ex\d?)?[AW]?$/, '');
      hooks = this.#findHooks([...new Set([name, ...variants.map((end) => stem + end)])], hookedModules);
      this.#hooks.set(name, hooks);
    }
    return hooks.has(module);
  }

  #see(module: Module | undefined): void {
    if (module === undefined || module.isSystem || this.#seen.has(module)) return;
    this.#seen.add(module);
    const name = module.name.toLowerCase();
    this.#areForeign.set(name, this.#areForeign.get(name) !== false && this.#isOutside(module));
  }

  #isOutside(module: Module): boolean {
    let isOutside = this.#areOutside.get(module);
    if (isOutside === undefined) {
      const path = plainPath(module);
      isOutside = this.#directories.length > 0 && !this.#directories.some((directory) => path.startsWith(directory));
      this.#areOutside.set(module, isOutside);
    }
    return isOutside;
  }

  /** The modules to which functions of Windows lead by their first instruction, as the target has them now. */
  #findHooks(names: readonly string[], modules: readonly string[]): ReadonlySet<string> {
    const found = new Set<string>();
    for (const module of modules) {
      const base = GetModuleHandleW(module);
      if (base === 0n) continue;
      for (const name of names) {
        const address = GetProcAddress(base, name);
        const own = address === 0n ? undefined : this.#names.moduleOf(address);
        const hook = own?.isSystem === true ? this.#follow(address, own) : undefined;
        if (hook !== undefined) found.add(hook.name.toLowerCase());
      }
    }
    return found;
  }

  /** The other module to which code leads by its first instruction. */
  #follow(address: bigint, own: Module): Module | undefined {
    let at = address;
    for (let jumps = 0; jumps < JUMPS_MAX; jumps++) {
      const code = this.#read(at, JUMP_FORM_SIZE_BYTES);
      const next = code && jumpTarget(code, at, this.#read);
      if (next === undefined) return undefined;
      const module = this.#names.moduleOf(next);
      if (module !== undefined && module !== own) return module;
      at = next;
    }
    return undefined;
  }

  /** Reads whole pages, each once: the stubs of system calls lie side by side. */
  readonly #read = (address: bigint, sizeBytes: number): Uint8Array | undefined => {
    const begin = address & ~BigInt(PAGE_SIZE_BYTES - 1);
    const offset = Number(address - begin);
    const page = this.#readPage(begin);
    if (offset + sizeBytes <= PAGE_SIZE_BYTES) return page?.subarray(offset, offset + sizeBytes);
    const next = this.#readPage(begin + BigInt(PAGE_SIZE_BYTES));
    return page && next && Buffer.concat([page.subarray(offset), next]).subarray(0, sizeBytes);
  };

  #readPage(begin: bigint): Buffer | undefined {
    if (!this.#pages.has(begin)) this.#pages.set(begin, tryReadMemory(this.#facts.target, begin, PAGE_SIZE_BYTES));
    return this.#pages.get(begin);
  }
}

function plainPath({ path }: Module): string {
  return win32.normalize(path.replace(/^\\\\\?\\|^\\\?\?\\/, '')).toLowerCase();
}
