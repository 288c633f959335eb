/*
 * unclosed.h: tells an audit by unclosed which test the program runs. Findings then say in which test a handle was
 * opened. docs/test-attribution.md explains it.
 *
 *     unclosed run --mark pipe:tests -- tests.exe
 *
 * Include it after the header of GoogleTest, Catch2 or doctest, in one source file of the tests, and every test is
 * labelled. Otherwise call unclosed_begin and unclosed_end. C89 and C++11; GCC, Clang and MSVC; no library but
 * kernel32. Without an audit (the environment variable UNCLOSED_MARK is not set), and on other systems than Windows,
 * nothing is done.
 *
 * The functions may be called by any thread. They keep GetLastError, and leave no handle open. They return 1 when the
 * audit has taken the call, else 0; a program need not look.
 *
 * UNCLOSED_NO_LISTENERS, when defined before, leaves the frameworks alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef UNCLOSED_H
#define UNCLOSED_H

#include <stddef.h>

#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#define UNCLOSED_UNDEFINE_LEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#define UNCLOSED_UNDEFINE_NOMINMAX
#endif
#include <windows.h>
#ifdef UNCLOSED_UNDEFINE_LEAN
#undef WIN32_LEAN_AND_MEAN
#undef UNCLOSED_UNDEFINE_LEAN
#endif
#ifdef UNCLOSED_UNDEFINE_NOMINMAX
#undef NOMINMAX
#undef UNCLOSED_UNDEFINE_NOMINMAX
#endif
#endif

#if defined(__cplusplus)
#define UNCLOSED_INLINE inline
#elif defined(_MSC_VER)
#define UNCLOSED_INLINE static __inline
#else
#define UNCLOSED_INLINE static __inline__
#endif

#ifdef _WIN32

/* Bytes of a line: a verb, a thread id, and a name, which is cut. */
#define UNCLOSED_LINE_SIZE 512

/* Writes a line to the auditor and waits for the answer: 1 when it was taken, 2 when it is to be asked again. */
UNCLOSED_INLINE int unclosed_write_line(const WCHAR *path, const char *line, DWORD size) {
  HANDLE pipe = INVALID_HANDLE_VALUE;
  char answer[64];
  DWORD count = 0;
  DWORD index;
  int attempt;
  int result = 0;
  for (attempt = 0; attempt < 50; attempt += 1) {
    pipe = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (pipe != INVALID_HANDLE_VALUE || GetLastError() != ERROR_PIPE_BUSY) break;
    if (!WaitNamedPipeW(path, 100)) Sleep(10);
  }
  if (pipe == INVALID_HANDLE_VALUE) return 0;
  if (WriteFile(pipe, line, size, &count, NULL) && count == size &&
      ReadFile(pipe, answer, sizeof answer, &count, NULL) && count > 0 && answer[0] != '!') {
    result = 1;
    for (index = 0; index < count; index += 1)
      if (answer[index] == 'w') result = 2; /* "12 wait" */
  }
  CloseHandle(pipe);
  return result;
}

/* Composes a line: a verb with this thread's id, and a name unless it is NULL. Returns its size. */
UNCLOSED_INLINE DWORD unclosed_compose(char *line, const char *verb, const char *name) {
  char digits[12];
  DWORD id = GetCurrentThreadId();
  DWORD size = 0;
  DWORD count = 0;
  while (*verb != '\0') line[size++] = *verb++;
  if (size > 0) {
    line[size++] = '@';
    do {
      digits[count++] = (char)('0' + id % 10);
      id /= 10;
    } while (id > 0);
    while (count > 0) line[size++] = digits[--count];
    if (name != NULL) line[size++] = ' ';
  }
  for (; name != NULL && *name != '\0' && size < UNCLOSED_LINE_SIZE - 1; name += 1)
    line[size++] = (char)((unsigned char)*name < ' ' ? ' ' : *name);
  line[size++] = '\n';
  return size;
}

UNCLOSED_INLINE int unclosed_tell(const char *verb, const char *name) {
  const DWORD error = GetLastError();
  WCHAR path[260];
  char line[UNCLOSED_LINE_SIZE];
  int result = 0;
  const DWORD length = GetEnvironmentVariableW(L"UNCLOSED_MARK", path, 260);
  if (length > 0 && length < 260) {
    result = unclosed_write_line(path, line, unclosed_compose(line, verb, name));
    /* The pipe was opened within the section: what that left open is judged when the pipe is closed. */
    if (result == 2) result = unclosed_write_line(path, line, unclosed_compose(line, "sync", NULL));
  }
  SetLastError(error);
  return result != 0;
}

#else

UNCLOSED_INLINE int unclosed_tell(const char *verb, const char *name) {
  (void)verb;
  (void)name;
  return 0;
}

#endif

/* Begins a section of this thread's work: handles that it opens until the end belong to it. The name is UTF-8. */
UNCLOSED_INLINE int unclosed_begin(const char *name) { return unclosed_tell("begin", name); }

/* Ends the section of this name that this thread has begun; NULL for the one that it has begun last. */
UNCLOSED_INLINE int unclosed_end(const char *name) { return unclosed_tell("end", name); }

/* Ends the label before, and begins another; NULL for none. For harnesses that say only where a test begins. */
UNCLOSED_INLINE int unclosed_label(const char *name) { return unclosed_tell("label", name); }

/* Marks the end of one iteration (docs/iterations.md), and returns when the open handles have been counted. */
UNCLOSED_INLINE int unclosed_mark(void) { return unclosed_tell("", NULL); }

#ifdef __cplusplus

#include <string>

namespace unclosed {

/* A section that ends with its scope. */
class section {
public:
  explicit section(const std::string &name) : name_(name) { unclosed_begin(name_.c_str()); }
  ~section() { unclosed_end(name_.c_str()); }
  section(const section &) = delete;
  section &operator=(const section &) = delete;

private:
  std::string name_;
};

}  // namespace unclosed

#ifndef UNCLOSED_NO_LISTENERS

/* GoogleTest: each test, with the SetUp and TearDown of its fixture, as Suite.name. */
#if defined(GOOGLETEST_INCLUDE_GTEST_GTEST_H_) || defined(GTEST_INCLUDE_GTEST_GTEST_H_)

namespace unclosed {

class googletest_listener : public ::testing::EmptyTestEventListener {
public:
  void OnTestStart(const ::testing::TestInfo &test) override { unclosed_begin(name_of(test).c_str()); }
  void OnTestEnd(const ::testing::TestInfo &test) override { unclosed_end(name_of(test).c_str()); }

  /* Once in a program, whichever of its files include this header. */
  static bool listen() {
    static const bool once =
        (::testing::UnitTest::GetInstance()->listeners().Append(new googletest_listener), true);
    return once;
  }

private:
  static std::string name_of(const ::testing::TestInfo &test) {
#ifdef GTEST_REMOVE_LEGACY_TEST_CASEAPI_
    return std::string(test.test_suite_name()) + "." + test.name();
#else
    return std::string(test.test_case_name()) + "." + test.name();
#endif
  }
};

namespace {
const bool googletest_listens = googletest_listener::listen();
/* For compilers that warn of a variable without a use. */
inline bool googletest_is_listened_to() { return googletest_listens; }
}  // namespace

}  // namespace unclosed

#endif

/* doctest: each test case, as its name. */
#if defined(DOCTEST_REGISTER_LISTENER) && !defined(DOCTEST_CONFIG_DISABLE)

namespace unclosed {

class doctest_listener : public doctest::IReporter {
public:
  explicit doctest_listener(const doctest::ContextOptions &) {}
  void report_query(const doctest::QueryData &) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats &) override {}
  void test_case_start(const doctest::TestCaseData &test) override {
    name_ = test.m_name;
    unclosed_begin(name_.c_str());
  }
  void test_case_reenter(const doctest::TestCaseData &) override {}
  void test_case_end(const doctest::CurrentTestCaseStats &) override { unclosed_end(name_.c_str()); }
  void test_case_exception(const doctest::TestCaseException &) override {}
  void subcase_start(const doctest::SubcaseSignature &) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData &) override {}
  void log_message(const doctest::MessageData &) override {}
  void test_case_skipped(const doctest::TestCaseData &) override {}

private:
  std::string name_;
};

}  // namespace unclosed

DOCTEST_REGISTER_LISTENER("unclosed", 1, unclosed::doctest_listener);

#endif

/* Catch2, version 3: include <catch2/reporters/catch_reporter_event_listener.hpp> and
   <catch2/reporters/catch_reporter_registrars.hpp> before. Version 2: in the file with CATCH_CONFIG_MAIN or
   CATCH_CONFIG_RUNNER, or with CATCH_CONFIG_EXTERNAL_INTERFACES. */
#if defined(CATCH_REPORTER_EVENT_LISTENER_HPP_INCLUDED) || \
    (defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR == 2 && defined(CATCH_CONFIG_EXTERNAL_INTERFACES))

#ifdef CATCH_REPORTER_EVENT_LISTENER_HPP_INCLUDED
typedef Catch::EventListenerBase unclosed_catch2_base;
#else
typedef Catch::TestEventListenerBase unclosed_catch2_base;
#endif

/* Each test case, as its name: once for each of its Catch2 sections. Catch2 registers no name with a namespace. */
class unclosed_catch2_listener : public unclosed_catch2_base {
public:
  using unclosed_catch2_base::unclosed_catch2_base;
  void testCaseStarting(const Catch::TestCaseInfo &test) override {
    unclosed_catch2_base::testCaseStarting(test);
    name_ = test.name;
    unclosed_begin(name_.c_str());
  }
  void testCaseEnded(const Catch::TestCaseStats &stats) override {
    unclosed_end(name_.c_str());
    unclosed_catch2_base::testCaseEnded(stats);
  }

private:
  std::string name_;
};

CATCH_REGISTER_LISTENER(unclosed_catch2_listener)

#endif

#endif /* UNCLOSED_NO_LISTENERS */
#endif /* __cplusplus */
#endif /* UNCLOSED_H */
