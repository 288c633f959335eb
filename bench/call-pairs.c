// Calls an opening and a closing function by turns, from the bottom of a stack of a given depth, and measures it: for
// hooks without a system call beneath them. A DLL, because the recorder remembers frames of images only.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef LONG NTAPI Open(HANDLE *handle, ACCESS_MASK access, void *attributes, LONG type, BOOLEAN state);
typedef LONG NTAPI Close(HANDLE handle);

struct Work {
  Open *open;
  Close *close;
  int pairs, depth;
};

static __attribute__((noipa)) int call_pairs(const struct Work *work) {
  for (int i = 0; i < work->pairs; i += 1) {
    HANDLE handle;
    work->open(&handle, 0, NULL, 0, FALSE);
    work->close(handle);
  }
  return 0;
}

static __attribute__((noipa)) int descend(const struct Work *work, int depth) {
  volatile int result = depth > 0 ? descend(work, depth - 1) : call_pairs(work);
  return result;  // there is work left after the call, so that it stays a call
}

static DWORD WINAPI run(void *work) {
  return (DWORD)descend(work, ((const struct Work *)work)->depth);
}

// Nanoseconds until the last of the threads has made all of its pairs.
__declspec(dllexport) double measure(Open *open, Close *close, int pairs, int depth, int threadCount) {
  struct Work work = {open, close, pairs, depth};
  HANDLE threads[MAXIMUM_WAIT_OBJECTS];
  LARGE_INTEGER frequency, began, ended;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&began);
  for (int i = 0; i < threadCount; i += 1) threads[i] = CreateThread(NULL, 0, run, &work, 0, NULL);
  WaitForMultipleObjects(threadCount, threads, TRUE, INFINITE);
  QueryPerformanceCounter(&ended);
  for (int i = 0; i < threadCount; i += 1) CloseHandle(threads[i]);
  return (double)(ended.QuadPart - began.QuadPart) * 1e9 / (double)frequency.QuadPart;
}
