// What recording costs a program: creates and closes 200,000 events in all, on as many threads as the first argument
// says, and prints how long it took by its own clock.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <stdio.h>
#include <stdlib.h>

enum { PAIRS = 200000, THREADS_MAX = 64 };

static int pairsPerThread;
static HANDLE start;

static DWORD WINAPI work(void *context) {
  (void)context;
  WaitForSingleObject(start, INFINITE);
  for (int i = 0; i < pairsPerThread; i += 1) {
    if (!CloseHandle(CreateEventW(NULL, TRUE, FALSE, NULL))) return 1;
  }
  return 0;
}

int main(int count, char **arguments) {
  int threadCount = count > 1 ? atoi(arguments[1]) : 1;
  HANDLE threads[THREADS_MAX];
  LARGE_INTEGER frequency, began, ended;
  if (threadCount < 1 || threadCount > THREADS_MAX) return 2;

  pairsPerThread = PAIRS / threadCount;
  start = CreateEventW(NULL, TRUE, FALSE, NULL);
  for (int i = 0; i < threadCount; i += 1) threads[i] = CreateThread(NULL, 0, work, NULL, 0, NULL);
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&began);
  SetEvent(start);
  WaitForMultipleObjects(threadCount, threads, TRUE, INFINITE);
  QueryPerformanceCounter(&ended);

  for (int i = 0; i < threadCount; i += 1) CloseHandle(threads[i]);
  CloseHandle(start);
  double microseconds = (double)(ended.QuadPart - began.QuadPart) * 1e6 / (double)frequency.QuadPart;
  printf("%d pairs in %.0f us\n", pairsPerThread * threadCount, microseconds);
  return 0;
}
