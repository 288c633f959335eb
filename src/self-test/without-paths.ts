import { userInfo } from 'node:os';

/**
 * A text without the directories that it names, and without the name of the account: it is to be shown to strangers.
 *
 * @param user the name of the account
 */
export function withoutPaths(text: string, user: string = userInfo().username): string {
  const shortened = text
    .replace(/\s+/g, ' ')
    .replace(/(?:\\\\\?\\|\\\?\?\\)?(?:\b[A-Za-z]:|\\\\[^\\/\s"]+)[\\/](?:[^\\/:*?"<>|]+[\\/])*/g, '…\\')
    .replace(/(?:file:\/\/)?\/(?:[^/\s"]+\/)+/g, '…/');
  // A shorter name may be a part of other words.
  if (user.length < 3) return shortened;
  return shortened.replaceAll(new RegExp(user.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi'), '<user>');
}
