import { isWine } from '../ffi/ntdll.ts';
import { GetGuiResources } from '../ffi/user32.ts';
import type { AsHandle } from '../io/index.ts';

/** Objects of the window manager that a process has. They are not in the kernel's handle table. */
export interface GuiObjectCounts {
  /** Brushes, bitmaps, fonts, device contexts. */
  readonly gdi: number;
  /** Windows, menus, cursors, hooks. */
  readonly user: number;
}

const GR_GDIOBJECTS = 0;
const GR_USEROBJECTS = 1;

/**
 * How many GDI and USER objects a process has; `undefined` under Wine. Wine 8 and 10 answer 0 for every process, even
 * for one that has just made some [ran].
 *
 * https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-getguiresources
 *
 * @param process opened with PROCESS_QUERY_INFORMATION; on Windows, without that right the counts are 0
 */
export function countGuiObjects(process: AsHandle): GuiObjectCounts | undefined {
  const raw = process.asHandle().asRawHandle();
  const counts = { gdi: GetGuiResources(raw, GR_GDIOBJECTS), user: GetGuiResources(raw, GR_USEROBJECTS) };
  return isWine && counts.gdi === 0 && counts.user === 0 ? undefined : counts;
}
