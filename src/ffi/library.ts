import koffi, { type TypeObject } from 'koffi';

try {
  // By default koffi gives async calls stacks of 128 KiB. CreateProcess, and the hooks of security software in it, may
  // need as much as a thread has.
  koffi.config({ async_stack_size: 1 << 20 });
} catch {
  // Other code in this process has called by koffi before: the size is fixed.
}

declare const handleBrand: unique symbol;
declare const socketBrand: unique symbol;

/**
 * A Win32 `HANDLE`, as the signed 64-bit value that the kernel sees: `-1n` is both INVALID_HANDLE_VALUE and
 * the pseudo handle of the current process. The brand keeps it apart from addresses, sockets and plain numbers:
 * koffi's values carry no C type, so this is the only guard against a wrong argument.
 */
export type HANDLE = bigint & { readonly [handleBrand]: true };

/** A Winsock `SOCKET`, as an unsigned 64-bit value. Never interchangeable with {@link HANDLE}. */
export type SOCKET = bigint & { readonly [socketBrand]: true };

/** A place to read from or write to: memory that JavaScript owns, an address in this process, or NULL. */
export type Pointer = Uint8Array | Uint16Array | Uint32Array | BigInt64Array | BigUint64Array | bigint | null;

/** How one parameter or result crosses the border between C and TypeScript. */
export interface NativeType {
  readonly koffi: string | TypeObject;
  /** Turns koffi's value into the value that the binding promises; absent where they are the same. */
  readonly fromNative?: (value: never) => unknown;
  /** Turns an argument into the value that koffi takes; absent where they are the same. */
  readonly toNative?: (value: never) => unknown;
}

/** HANDLE: passed and returned as a signed bigint, NULL as `0n`. */
export const HANDLE: NativeType = { koffi: 'intptr', fromNative: (value: number | bigint) => BigInt(value) };
/** SOCKET (UINT_PTR): passed and returned as an unsigned bigint. */
export const SOCKET: NativeType = { koffi: 'uintptr', fromNative: (value: number | bigint) => BigInt(value) };
/** BOOL: any non-zero value is `true`. koffi's own `bool` is the one byte of C++. */
export const BOOL: NativeType = { koffi: 'int32', fromNative: (value: number) => value !== 0, toNative: Number };
/** BOOLEAN: one byte; any non-zero value is `true`. */
export const BOOLEAN: NativeType = { koffi: 'uint8', fromNative: (value: number) => value !== 0, toNative: Number };
/** DWORD, UINT, ULONG: a number. */
export const DWORD: NativeType = { koffi: 'uint32' };
/** WORD, USHORT: a number. */
export const WORD: NativeType = { koffi: 'uint16' };
/** LONG, int: a signed number. */
export const LONG: NativeType = { koffi: 'int32' };
/** NTSTATUS: an unsigned number, so that it compares with the documented constants (0xc0000008). */
export const NTSTATUS: NativeType = { koffi: 'uint32' };
/** ULONG64, SIZE_T, and addresses that live in another process: a bigint, never dereferenced here. */
export const ULONG64: NativeType = { koffi: 'uint64', fromNative: (value: number | bigint) => BigInt(value) };
/** A pointer into this process: see {@link Pointer}; returned as a bigint, NULL as `0n`. */
export const POINTER: NativeType = { koffi: 'void *', fromNative: (value: bigint | null) => value ?? 0n };
/** LPCWSTR: a JavaScript string, or null; for calls that only read it. */
export const LPCWSTR: NativeType = { koffi: 'str16' };
/** LPCSTR: a JavaScript string, or null; for calls that only read it. */
export const LPCSTR: NativeType = { koffi: 'str' };
/** No result. */
export const VOID: NativeType = { koffi: 'void' };

/**
 * The type of a function that C calls back before the call that received it returns. Its arguments arrive as koffi
 * makes them: pointers as bigints, NULL as null.
 */
export function callbackType(result: NativeType, parameters: readonly NativeType[]): NativeType {
  let made: TypeObject | undefined;
  return {
    get koffi() {
      return (made ??= koffi.pointer(
        koffi.proto(
          result.koffi,
          parameters.map((parameter) => parameter.koffi),
        ),
      ));
    },
  };
}

/**
 * A DLL and the way to declare its exports. The first call loads the DLL and looks for the export: a command needs few
 * exports, and imports the declarations of many.
 */
interface Library {
  /** Declares one export. The first call throws an Error when there is no such DLL, or no export of that name in it. */
  define<F extends (...args: never[]) => unknown>(
    name: string,
    result: NativeType,
    parameters: readonly NativeType[],
  ): F;
  /** Whether the DLL has an export of that name. */
  has(name: string): boolean;
  /**
   * Declares an export that not every Windows (or Wine) has: `undefined` where it is missing. Looks for it at once.
   */
  defineOptional<F extends (...args: never[]) => unknown>(
    name: string,
    result: NativeType,
    parameters: readonly NativeType[],
  ): F | undefined;
  /**
   * Declares an export that may block: it runs on one of libuv's threads, and JavaScript goes on. It resolves when the
   * call returns. GetLastError is meaningless afterwards: it belongs to another thread.
   */
  defineAsync<F extends (...args: never[]) => Promise<unknown>>(
    name: string,
    result: NativeType,
    parameters: readonly NativeType[],
  ): F;
}

/** Names a DLL by its file name. */
export function loadLibrary(fileName: string): Library {
  let loaded: LibraryHandle | undefined;
  const load = (): LibraryHandle => (loaded ??= koffi.load(fileName));

  function find(name: string, result: NativeType, parameters: readonly NativeType[]): KoffiFunc {
    const types = parameters.map((parameter) => parameter.koffi);
    return load().func(name, result.koffi, [
      ...types,
      ...new Array<string>(surplusCount(name, parameters)).fill('intptr'),
    ]);
  }

  function define(name: string, result: NativeType, parameters: readonly NativeType[]): never {
    let native: KoffiFunc | undefined;
    const fromNative = result.fromNative as ((value: unknown) => unknown) | undefined;
    const toNative = argumentConverter(parameters, surplusCount(name, parameters));
    const bound = (...args: unknown[]) => {
      native ??= find(name, result, parameters);
      const value: unknown = native(...(toNative === undefined ? args : toNative(args)));
      return fromNative === undefined ? value : fromNative(value);
    };
    return bound as never;
  }

  function has(name: string): boolean {
    try {
      load().symbol(name);
      return true;
    } catch {
      return false;
    }
  }

  return {
    define,
    has,
    defineOptional: (name, result, parameters) => (has(name) ? define(name, result, parameters) : undefined),
    defineAsync(name, result, parameters) {
      let native: KoffiFunc | undefined;
      const fromNative = (result.fromNative ?? ((value: unknown) => value)) as (value: unknown) => unknown;
      const toNative = argumentConverter(parameters, surplusCount(name, parameters)) ?? ((args: unknown[]) => args);
      const bound = (...args: unknown[]) =>
        new Promise((resolve, reject) => {
          native ??= find(name, result, parameters);
          native.async(...toNative(args), (error: unknown, value: unknown) => {
            args.length = 0; // until now the other thread may have used their memory
            if (error) reject(error);
            else resolve(fromNative(value));
          });
        });
      return bound as never;
    },
  };
}

type LibraryHandle = ReturnType<typeof koffi.load>;
type KoffiFunc = ReturnType<LibraryHandle['func']>;

/**
 * How many zeros a call gets behind its own arguments. koffi lays the frame of a call with fewer than five arguments at
 * the very end of its stack block. Wine 10 reads one word past the four home slots of every system call, and never
 * returns when that word is beyond the block [ran]. A surplus argument is harmless in the x64 calling convention.
 */
function surplusCount(name: string, parameters: readonly NativeType[]): number {
  return /^Nt[A-Z]/.test(name) ? Math.max(0, 5 - parameters.length) : 0;
}

/**
 * Converts the arguments that need it, in place, and adds zeros; `undefined` where a call needs neither, which is
 * common and costs nothing.
 */
function argumentConverter(
  parameters: readonly NativeType[],
  surplus: number,
): ((args: unknown[]) => unknown[]) | undefined {
  const zeros = new Array<bigint>(surplus).fill(0n);
  const converters = parameters.flatMap(({ toNative }, index) =>
    toNative === undefined ? [] : [[index, toNative as (value: unknown) => unknown] as const],
  );
  if (converters.length === 0 && surplus === 0) return undefined;
  return (args) => {
    for (const [index, convert] of converters) args[index] = convert(args[index]);
    return surplus === 0 ? args : [...args, ...zeros];
  };
}

/**
 * The memory at `address` in this process, without a copy: every write to it shows at once.
 *
 * The caller promises that `address` stays mapped for as long as the view is used.
 */
export function viewMemory(address: bigint, sizeBytes: number): ArrayBuffer {
  return koffi.view(address, sizeBytes);
}

/** The address of the bytes of `buffer`; V8 never moves them while the buffer is referenced. */
export function addressOf(buffer: Uint8Array): bigint {
  return BigInt(koffi.address(buffer));
}

/** The version of koffi, which calls native code here. */
export const koffiVersion: string = koffi.version;
