import { Register } from 'iced-x86';

/** Registers by the names that values have: a register holds at a function's entry the value of its own name. */
export const registers: readonly Register[] = [
  ...[Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RBP, Register.RSI, Register.RDI, Register.R8],
  ...[Register.R9, Register.R10, Register.R11, Register.R12, Register.R13, Register.R14, Register.R15],
];

export const nonVolatile: readonly Register[] = [
  ...[Register.RBX, Register.RBP, Register.RSI, Register.RDI],
  ...[Register.R12, Register.R13, Register.R14, Register.R15],
];

/** `entry register` or `stack argument`, and undefined for anything else. */
export type Value = string | undefined;

/** The knowledge at an instruction: the distance of rsp from its value at the entry, registers, and the frame. */
export interface MachineState {
  readonly rsp: number;
  readonly values: ReadonlyMap<Register, Value>;
  /** 64-bit places by their distance from rsp at the entry. */
  readonly places: ReadonlyMap<number, Value>;
}

export const entryState: MachineState = {
  rsp: 0,
  values: new Map(registers.map((register) => [register, valueAtEntry(register)])),
  places: new Map(),
};

/** The value that a register has at the entry. */
export function valueAtEntry(register: Register): string {
  return Register[register];
}

/** The value of an argument that the caller passed, by its number. */
export function argumentAtEntry(index: number): string {
  const register = [Register.RCX, Register.RDX, Register.R8, Register.R9][index];
  return register === undefined ? `argument ${index}` : valueAtEntry(register);
}

/** The value of a place that the function has not written: an argument of the caller's, behind the home space. */
export function readPlace({ places }: MachineState, at: number): Value {
  if (places.has(at)) return places.get(at);
  const index = at / 8 - 1;
  return at >= 0x28 && Number.isInteger(index) ? argumentAtEntry(index) : undefined;
}

/** The knowledge where two paths meet; undefined where rsp differs. */
export function join(one: MachineState, other: MachineState): MachineState | undefined {
  if (one.rsp !== other.rsp) return undefined;
  const places = new Set([...one.places.keys(), ...other.places.keys()]);
  const same = (a: Value, b: Value): Value => (a === b ? a : undefined);
  return {
    rsp: one.rsp,
    values: new Map(registers.map((each) => [each, same(one.values.get(each), other.values.get(each))])),
    places: new Map([...places].map((at) => [at, same(readPlace(one, at), readPlace(other, at))])),
  };
}

export function isSame(one: MachineState, other: MachineState): boolean {
  return (
    one.rsp === other.rsp &&
    one.places.size === other.places.size &&
    registers.every((each) => one.values.get(each) === other.values.get(each)) &&
    [...one.places].every(([at, value]) => other.places.has(at) && other.places.get(at) === value)
  );
}
