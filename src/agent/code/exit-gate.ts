import { header } from '../ledger-layout.ts';
import { GATE_NAME_TEXT, type LinkedEnvironment } from '../linkage.ts';
import { type Assembler, at, type Label, low32, rax, rcx, rdx, r8, r9, relative, rsp, teb } from './assembler.ts';
import { tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/** States of {@link header.gateState}. */
export const GATE_OPEN = 0;
export const GATE_WAITING = 1;
export const GATE_PASSED = 2;
export const GATE_UNATTENDED = 3;

/** Where the names stand that the gate opens the auditor's objects by; see {@link setGateName}. */
export interface GateEnvironment extends LinkedEnvironment {
  /** Full object-manager path of the event that says "the target is at the gate". */
  readonly arrivedName: Label;
  /** Full object-manager path of the mutant that the auditor holds until it has read everything. */
  readonly judgedName: Label;
}

/** How long a target waits for an auditor that lives but does not answer. */
const GATE_TIMEOUT_MS = 10 * 60_000;
const OTHER_THREAD_TIMEOUT_MS = 10;

const EVENT_MODIFY_STATE = 0x2;
const MUTANT_ACCESS = 0x10_0001; // SYNCHRONIZE | MUTANT_QUERY_STATE
const OBJ_CASE_INSENSITIVE = 0x40;

const frame: FrameShape = { pushes: [], sizeBytes: 0xa8 };
const objectAttributes = 0x30; // OBJECT_ATTRIBUTES, 0x30 bytes
const objectName = 0x60; // UNICODE_STRING, 0x10 bytes
const handle = 0x70;
const event = 0x78;
const mutant = 0x80;
const waited = 0x88;

/**
 * Emits `void exitGate(u32 exit code)`: the process waits until the auditor has read its handle table.
 *
 * The gate holds no handle before the exit: it opens the auditor's two objects by name. The wait is for a mutant, which the
 * kernel releases when the auditor dies, so a target never hangs on a dead auditor; without the objects it passes at once.
 */
export function emitExitGate(assembler: Assembler, begin: Label, environment: GateEnvironment): FramedFunction {
  const native = (name: string) => assembler.call(environment.native(name));
  const field = (offset: number) => {
    assembler.mov(r9, environment.words.ledger);
    return at(r9, offset);
  };

  /** `NtOpen…(&handle, access, &attributes)`; the result is in eax. */
  const open = (call: string, access: number, name: Label) => {
    assembler.movImmediate64(at(rsp, objectAttributes), 0x30); // ULONG Length
    assembler.movImmediate64(at(rsp, objectAttributes + 0x08), 0); // HANDLE RootDirectory
    assembler.lea(rax, at(rsp, objectName));
    assembler.mov(at(rsp, objectAttributes + 0x10), rax); // PUNICODE_STRING ObjectName
    assembler.movImmediate64(at(rsp, objectAttributes + 0x18), OBJ_CASE_INSENSITIVE); // ULONG Attributes
    assembler.movImmediate64(at(rsp, objectAttributes + 0x20), 0); // PVOID SecurityDescriptor
    assembler.movImmediate64(at(rsp, objectAttributes + 0x28), 0); // PVOID SecurityQualityOfService
    assembler.lea(rax, relative(name));
    assembler.mov(low32(rcx), at(rax)); // USHORT Length, MaximumLength
    assembler.mov(at(rsp, objectName), rcx);
    assembler.add(rax, GATE_NAME_TEXT);
    assembler.mov(at(rsp, objectName + 8), rax); // PWSTR Buffer
    assembler.lea(rcx, at(rsp, handle));
    assembler.mov(low32(rdx), access);
    assembler.lea(r8, at(rsp, objectAttributes));
    native(call);
    assembler.test(low32(rax), low32(rax));
  };
  const close = (saved: number) => {
    assembler.mov(rcx, at(rsp, saved));
    native('NtClose');
  };

  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [
      mine, other, unattended, noMutant, passed, kept,
    ] = assembler.labels(
      'mine', 'other', 'unattended', 'noMutant', 'passed', 'kept',
    ); // prettier-ignore

    assembler.bind(other);
    assembler.mov(low32(rdx), teb(tebField.threadId));
    assembler.xor(low32(rax), low32(rax));
    assembler.lockCmpxchg(field(header.gateThread), low32(rdx));
    assembler.j('e', mine);
    // Another thread of this process is at the gate: it speaks for all.
    assembler.mov(at(rsp, waited), rcx);
    assembler.movImmediate64(at(rsp, handle), -OTHER_THREAD_TIMEOUT_MS * 10_000);
    assembler.xor(low32(rcx), low32(rcx));
    assembler.lea(rdx, at(rsp, handle));
    native('NtDelayExecution');
    assembler.mov(rcx, at(rsp, waited));
    assembler.jmp(other);

    assembler.bind(mine);
    assembler.mov(field(header.gateExitCode), rcx);
    open('NtOpenEvent', EVENT_MODIFY_STATE, environment.arrivedName);
    assembler.j('s', unattended);
    assembler.mov(rax, at(rsp, handle));
    assembler.mov(at(rsp, event), rax);
    assembler.mov(field(header.gateHandles), rax);
    open('NtOpenMutant', MUTANT_ACCESS, environment.judgedName);
    assembler.j('s', noMutant);
    assembler.mov(rax, at(rsp, handle));
    assembler.mov(at(rsp, mutant), rax);
    assembler.mov(field(header.gateHandles + 8), rax);
    assembler.movImmediate32(field(header.gateState), GATE_WAITING);

    assembler.mov(rcx, at(rsp, event));
    assembler.xor(low32(rdx), low32(rdx));
    native('NtSetEvent');
    assembler.mov(rax, BigInt(-GATE_TIMEOUT_MS) * 10_000n);
    assembler.mov(at(rsp, handle), rax);
    assembler.mov(rcx, at(rsp, mutant));
    assembler.xor(low32(rdx), low32(rdx));
    assembler.lea(r8, at(rsp, handle));
    native('NtWaitForSingleObject');
    assembler.cmp(low32(rax), 0x102); // STATUS_TIMEOUT: the mutant is not ours
    assembler.j('e', kept);
    assembler.mov(rcx, at(rsp, mutant));
    assembler.xor(low32(rdx), low32(rdx));
    native('NtReleaseMutant');
    assembler.bind(kept);
    close(mutant);
    close(event);
    assembler.movImmediate32(field(header.gateState), GATE_PASSED);

    assembler.bind(passed);
    assembler.xor(low32(rax), low32(rax));
    assembler.mov(field(header.gateHandles), rax);
    assembler.mov(field(header.gateHandles + 8), rax);
    assembler.mov(field(header.gateThread), low32(rax));
    epilogue();

    assembler.bind(noMutant);
    assembler.mov(at(rsp, waited), rax);
    close(event);
    assembler.mov(rax, at(rsp, waited));
    assembler.bind(unattended);
    assembler.mov(field(header.gateStatus), low32(rax));
    assembler.movImmediate32(field(header.gateState), GATE_UNATTENDED);
    assembler.jmp(passed);
  });
}
