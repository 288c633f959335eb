import { DWORD, HANDLE, loadLibrary } from './library.ts';

const user32 = loadLibrary('user32.dll');

/** https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-getguiresources */
export const GetGuiResources: (hProcess: HANDLE, uiFlags: number) => number = user32.define('GetGuiResources', DWORD, [
  HANDLE,
  DWORD,
]);
