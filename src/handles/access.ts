/** Names of one type's access bits, as the SDK's headers spell them. */
interface AccessNames {
  /** All access. A mask that equals one of these has that single name. */
  readonly all: readonly (readonly [mask: number, name: string])[];
  /**
   * The masks that the generic rights stand for. They share bits. A mask that is exactly a union of some of them has
   * their names.
   */
  readonly generic?: readonly (readonly [mask: number, name: string])[];
  /** Single bits. */
  readonly bits: readonly (readonly [mask: number, name: string])[];
}

/** https://learn.microsoft.com/windows/win32/secauthz/access-mask */
const STANDARD_BITS: readonly (readonly [number, string])[] = [
  [0x0001_0000, 'DELETE'],
  [0x0002_0000, 'READ_CONTROL'],
  [0x0004_0000, 'WRITE_DAC'],
  [0x0008_0000, 'WRITE_OWNER'],
  [0x0010_0000, 'SYNCHRONIZE'],
  [0x0100_0000, 'ACCESS_SYSTEM_SECURITY'],
  [0x0200_0000, 'MAXIMUM_ALLOWED'],
  [0x1000_0000, 'GENERIC_ALL'],
  [0x2000_0000, 'GENERIC_EXECUTE'],
  [0x4000_0000, 'GENERIC_WRITE'],
  [0x8000_0000, 'GENERIC_READ'],
];

/** https://learn.microsoft.com/windows/win32/fileio/file-access-rights-constants */
const FILE: AccessNames = {
  all: [[0x1f_01ff, 'FILE_ALL_ACCESS']],
  generic: [
    [0x12_0089, 'FILE_GENERIC_READ'],
    [0x12_0116, 'FILE_GENERIC_WRITE'],
    [0x12_00a0, 'FILE_GENERIC_EXECUTE'],
  ],
  bits: [
    [0x0001, 'FILE_READ_DATA'],
    [0x0002, 'FILE_WRITE_DATA'],
    [0x0004, 'FILE_APPEND_DATA'],
    [0x0008, 'FILE_READ_EA'],
    [0x0010, 'FILE_WRITE_EA'],
    [0x0020, 'FILE_EXECUTE'],
    [0x0040, 'FILE_DELETE_CHILD'],
    [0x0080, 'FILE_READ_ATTRIBUTES'],
    [0x0100, 'FILE_WRITE_ATTRIBUTES'],
  ],
};

const ACCESS_NAMES: ReadonlyMap<string, AccessNames> = new Map<string, AccessNames>([
  ['File', FILE],
  ['Socket', FILE],
  ['Device', FILE],
  [
    'Key', // https://learn.microsoft.com/windows/win32/sysinfo/registry-key-security-and-access-rights
    {
      all: [[0xf_003f, 'KEY_ALL_ACCESS']],
      generic: [
        [0x2_0019, 'KEY_READ'],
        [0x2_0006, 'KEY_WRITE'],
      ],
      bits: [
        [0x0001, 'KEY_QUERY_VALUE'],
        [0x0002, 'KEY_SET_VALUE'],
        [0x0004, 'KEY_CREATE_SUB_KEY'],
        [0x0008, 'KEY_ENUMERATE_SUB_KEYS'],
        [0x0010, 'KEY_NOTIFY'],
        [0x0020, 'KEY_CREATE_LINK'],
        [0x0100, 'KEY_WOW64_64KEY'],
        [0x0200, 'KEY_WOW64_32KEY'],
      ],
    },
  ],
  [
    'Process', // https://learn.microsoft.com/windows/win32/procthread/process-security-and-access-rights
    {
      all: [
        [0x1f_ffff, 'PROCESS_ALL_ACCESS'],
        [0x1f_0fff, 'PROCESS_ALL_ACCESS'], // Windows XP's
      ],
      bits: [
        [0x0001, 'PROCESS_TERMINATE'],
        [0x0002, 'PROCESS_CREATE_THREAD'],
        [0x0004, 'PROCESS_SET_SESSIONID'],
        [0x0008, 'PROCESS_VM_OPERATION'],
        [0x0010, 'PROCESS_VM_READ'],
        [0x0020, 'PROCESS_VM_WRITE'],
        [0x0040, 'PROCESS_DUP_HANDLE'],
        [0x0080, 'PROCESS_CREATE_PROCESS'],
        [0x0100, 'PROCESS_SET_QUOTA'],
        [0x0200, 'PROCESS_SET_INFORMATION'],
        [0x0400, 'PROCESS_QUERY_INFORMATION'],
        [0x0800, 'PROCESS_SUSPEND_RESUME'],
        [0x1000, 'PROCESS_QUERY_LIMITED_INFORMATION'],
        [0x2000, 'PROCESS_SET_LIMITED_INFORMATION'],
      ],
    },
  ],
  [
    'Thread', // https://learn.microsoft.com/windows/win32/procthread/thread-security-and-access-rights
    {
      all: [
        [0x1f_ffff, 'THREAD_ALL_ACCESS'],
        [0x1f_03ff, 'THREAD_ALL_ACCESS'], // Windows XP's
      ],
      bits: [
        [0x0001, 'THREAD_TERMINATE'],
        [0x0002, 'THREAD_SUSPEND_RESUME'],
        [0x0004, 'THREAD_ALERT'],
        [0x0008, 'THREAD_GET_CONTEXT'],
        [0x0010, 'THREAD_SET_CONTEXT'],
        [0x0020, 'THREAD_SET_INFORMATION'],
        [0x0040, 'THREAD_QUERY_INFORMATION'],
        [0x0080, 'THREAD_SET_THREAD_TOKEN'],
        [0x0100, 'THREAD_IMPERSONATE'],
        [0x0200, 'THREAD_DIRECT_IMPERSONATION'],
        [0x0400, 'THREAD_SET_LIMITED_INFORMATION'],
        [0x0800, 'THREAD_QUERY_LIMITED_INFORMATION'],
        [0x1000, 'THREAD_RESUME'],
      ],
    },
  ],
  [
    'Token', // https://learn.microsoft.com/windows/win32/secauthz/access-rights-for-access-token-objects
    {
      all: [
        [0xf_01ff, 'TOKEN_ALL_ACCESS'],
        [0xf_00ff, 'TOKEN_ALL_ACCESS_P'],
      ],
      generic: [
        [0x2_0008, 'TOKEN_READ'],
        [0x2_00e0, 'TOKEN_WRITE'],
      ],
      bits: [
        [0x0001, 'TOKEN_ASSIGN_PRIMARY'],
        [0x0002, 'TOKEN_DUPLICATE'],
        [0x0004, 'TOKEN_IMPERSONATE'],
        [0x0008, 'TOKEN_QUERY'],
        [0x0010, 'TOKEN_QUERY_SOURCE'],
        [0x0020, 'TOKEN_ADJUST_PRIVILEGES'],
        [0x0040, 'TOKEN_ADJUST_GROUPS'],
        [0x0080, 'TOKEN_ADJUST_DEFAULT'],
        [0x0100, 'TOKEN_ADJUST_SESSIONID'],
      ],
    },
  ],
  ...(
    [
      [
        'Event',
        'EVENT',
        0x1f_0003,
        [
          [1, 'QUERY_STATE'],
          [2, 'MODIFY_STATE'],
        ],
      ],
      [
        'Semaphore',
        'SEMAPHORE',
        0x1f_0003,
        [
          [1, 'QUERY_STATE'],
          [2, 'MODIFY_STATE'],
        ],
      ],
      ['Mutant', 'MUTANT', 0x1f_0001, [[1, 'QUERY_STATE']]],
      [
        'Timer',
        'TIMER',
        0x1f_0003,
        [
          [1, 'QUERY_STATE'],
          [2, 'MODIFY_STATE'],
        ],
      ],
      [
        'IRTimer',
        'TIMER',
        0x1f_0003,
        [
          [1, 'QUERY_STATE'],
          [2, 'MODIFY_STATE'],
        ],
      ],
      [
        'KeyedEvent',
        'KEYEDEVENT',
        0xf_0003,
        [
          [1, 'WAIT'],
          [2, 'WAKE'],
        ],
      ],
      [
        'IoCompletion',
        'IO_COMPLETION',
        0x1f_0003,
        [
          [1, 'QUERY_STATE'],
          [2, 'MODIFY_STATE'],
        ],
      ],
      [
        'Directory',
        'DIRECTORY',
        0xf_000f,
        [
          [1, 'QUERY'],
          [2, 'TRAVERSE'],
          [4, 'CREATE_OBJECT'],
          [8, 'CREATE_SUBDIRECTORY'],
        ],
      ],
      [
        'SymbolicLink',
        'SYMBOLIC_LINK',
        0xf_0001,
        [
          [1, 'QUERY'],
          [2, 'SET'],
        ],
      ],
      [
        'Section', // https://learn.microsoft.com/windows/win32/memory/file-mapping-security-and-access-rights
        'SECTION',
        0xf_001f,
        [
          [1, 'QUERY'],
          [2, 'MAP_WRITE'],
          [4, 'MAP_READ'],
          [8, 'MAP_EXECUTE'],
          [0x10, 'EXTEND_SIZE'],
          [0x20, 'MAP_EXECUTE_EXPLICIT'],
        ],
      ],
      [
        'Job', // https://learn.microsoft.com/windows/win32/procthread/job-object-security-and-access-rights
        'JOB_OBJECT',
        0x1f_003f,
        [
          [1, 'ASSIGN_PROCESS'],
          [2, 'SET_ATTRIBUTES'],
          [4, 'QUERY'],
          [8, 'TERMINATE'],
          [0x10, 'SET_SECURITY_ATTRIBUTES'],
          [0x20, 'IMPERSONATE'],
        ],
      ],
      ['ALPC Port', 'PORT', 0x1f_0001, [[1, 'CONNECT']]],
      [
        'DebugObject',
        'DEBUG',
        0x1f_000f,
        [
          [1, 'READ_EVENT'],
          [2, 'PROCESS_ASSIGN'],
          [4, 'SET_INFORMATION'],
          [8, 'QUERY_INFORMATION'],
        ],
      ],
      [
        'TpWorkerFactory',
        'WORKER_FACTORY',
        0xf_00ff,
        [
          [1, 'RELEASE_WORKER'],
          [2, 'WAIT'],
          [4, 'SET_INFORMATION'],
          [8, 'QUERY_INFORMATION'],
          [0x10, 'READY_WORKER'],
          [0x20, 'SHUTDOWN'],
        ],
      ],
      [
        // https://learn.microsoft.com/windows/win32/winstation/window-station-security-and-access-rights
        'WindowStation',
        'WINSTA',
        0xf_037f,
        [
          [1, 'ENUMDESKTOPS'],
          [2, 'READATTRIBUTES'],
          [4, 'ACCESSCLIPBOARD'],
          [8, 'CREATEDESKTOP'],
          [0x10, 'WRITEATTRIBUTES'],
          [0x20, 'ACCESSGLOBALATOMS'],
          [0x40, 'EXITWINDOWS'],
          [0x100, 'ENUMERATE'],
          [0x200, 'READSCREEN'],
        ],
      ],
      [
        'Desktop', // https://learn.microsoft.com/windows/win32/winstation/desktop-security-and-access-rights
        'DESKTOP',
        0xf_01ff,
        [
          [1, 'READOBJECTS'],
          [2, 'CREATEWINDOW'],
          [4, 'CREATEMENU'],
          [8, 'HOOKCONTROL'],
          [0x10, 'JOURNALRECORD'],
          [0x20, 'JOURNALPLAYBACK'],
          [0x40, 'ENUMERATE'],
          [0x80, 'WRITEOBJECTS'],
          [0x100, 'SWITCHDESKTOP'],
        ],
      ],
    ] as const
  ).map(([type, prefix, all, bits]): [string, AccessNames] => [
    type,
    {
      all: [[all, `${prefix}_ALL_ACCESS`]],
      bits: bits.map(([mask, name]): [number, string] => [mask, `${prefix}_${name}`]),
    },
  ]),
]);

const NOTHING: AccessNames = { all: [], bits: [] };

/**
 * The names of an access mask's bits, as a program would write them: `['FILE_GENERIC_READ']`,
 * `['EVENT_MODIFY_STATE', 'SYNCHRONIZE']`.
 *
 * A mask of all access has a single name. A mask that is a union of generic rights has their names. Any other mask is
 * spelled bit by bit, and the bits without a name come last, as one number (`0x4000`). The bits of the names always
 * make up the mask, so an empty mask has no names.
 *
 * @param type the kernel's type name, or `Socket`
 * @param access 32 bits, signed or unsigned
 */
export function decodeAccess(type: string, access: number): readonly string[] {
  const mask = access >>> 0;
  const names = ACCESS_NAMES.get(type) ?? NOTHING;
  for (const [all, name] of names.all) {
    if (mask === all) return [name];
  }
  const generic = (names.generic ?? []).filter(([bits]) => (mask & bits) >>> 0 === bits);
  const genericBits = generic.reduce((union, [bits]) => union | bits, 0) >>> 0;
  if (generic.length > 0 && genericBits === mask) return generic.map(([, name]) => name);

  const found: string[] = [];
  let rest = mask;
  for (const [bit, name] of [...names.bits, ...STANDARD_BITS]) {
    if ((mask & bit) === 0) continue;
    found.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  return rest === 0 ? found : [...found, `0x${rest.toString(16)}`];
}
