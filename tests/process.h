// Runs the program under test as a user does: arguments, a terminal or pipes, signals, limits.
#ifndef MANAKO_TESTS_PROCESS_H_
#define MANAKO_TESTS_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace manako {

struct ProcessOptions {
  std::string program = {};  // empty: manako, as it was just built
  std::vector<std::string> arguments = {};
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to the test's own
  std::string folder = {};   // to start in; empty: the test's own
  bool terminal = false;     // standard error is a pseudo-terminal of 100 columns; else a pipe
  int timeout_ms = 120'000;  // then it is killed, and the result says so
};

struct ProcessResult {
  int exit_code = -1;  // of exit(); -1 when a signal ended it
  int signal = 0;      // that ended it; 0 when it ended itself
  bool timed_out = false;
  int64_t max_rss_kb = 0;
  std::string out, err;
};

// One started program. The destructor kills it and waits for it.
class Process {
 public:
  // Never null; a program that cannot be started ends with exit code 127.
  static std::unique_ptr<Process> Start(ProcessOptions options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal);
  // True once standard error holds `text`; false when the program ended, or its time was up, first.
  bool WaitForError(const std::string& text);
  // What standard error has held until now.
  std::string ErrorSoFar();
  // True when the program has ended within the time.
  bool WaitMs(int ms);
  // Waits to the end and gives what there was. Once.
  ProcessResult Finish();

 private:
  explicit Process(ProcessOptions options) : options_(std::move(options)) {}
  void Read(int fd, std::string* to);
  bool Reap(bool block);
  bool ErrorHolds(const std::string& text);

  ProcessOptions options_;
  pid_t pid_ = -1;
  int64_t deadline_ms_ = 0;
  bool ended_ = false;
  ProcessResult result_;
  std::mutex mutex_;  // guards out_ and err_
  std::string out_, err_;
  std::thread out_reader_, err_reader_;
};

// Start() and Finish().
ProcessResult RunProcess(ProcessOptions options);
// manako with these arguments, on pipes.
ProcessResult RunManako(std::vector<std::string> arguments);

// The lines of a text, without their ends; a last line without an end counts.
std::vector<std::string> Lines(const std::string& text);

}  // namespace manako

#endif  // MANAKO_TESTS_PROCESS_H_
