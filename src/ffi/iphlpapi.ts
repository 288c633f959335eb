import { BOOL, DWORD, loadLibrary, POINTER, type Pointer } from './library.ts';

const iphlpapi = loadLibrary('iphlpapi.dll');

/** https://learn.microsoft.com/windows/win32/api/iphlpapi/nf-iphlpapi-getextendedtcptable */
export const GetExtendedTcpTable: (
  pTcpTable: Pointer,
  pdwSize: Uint32Array,
  bOrder: boolean,
  ulAf: number,
  TableClass: number,
  Reserved: number,
) => number = iphlpapi.define('GetExtendedTcpTable', DWORD, [POINTER, POINTER, BOOL, DWORD, DWORD, DWORD]);
