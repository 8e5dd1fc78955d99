#include "process.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace manako {
namespace {

int64_t NowMs() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// A failure here is a failure of the test's own machine.
void Must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::abort();
}

struct Ends {
  int read = -1, write = -1;
};

Ends MakePipe() {
  int fds[2];
  Must(::pipe2(fds, O_CLOEXEC) == 0, "pipe2");
  return {fds[0], fds[1]};
}

Ends MakeTerminal() {
  Ends ends;
  const winsize size{.ws_row = 40, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  Must(::openpty(&ends.read, &ends.write, nullptr, nullptr, &size) == 0, "openpty");
  Must(::fcntl(ends.read, F_SETFD, FD_CLOEXEC) == 0, "fcntl");
  Must(::fcntl(ends.write, F_SETFD, FD_CLOEXEC) == 0, "fcntl");
  return ends;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void Become(const std::vector<char*>& arguments, const std::vector<char*>& environment,
                         const char* folder, int out, int err) {
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (*folder != '\0' && ::chdir(folder) != 0) ::_exit(127);
  ::execve(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::unique_ptr<Process> Process::Start(ProcessOptions options) {
  std::unique_ptr<Process> process(new Process(std::move(options)));
  const ProcessOptions& own = process->options_;
  process->deadline_ms_ = NowMs() + own.timeout_ms;
  std::vector<std::string> arguments = {own.program.empty() ? MANAKO_PROGRAM : own.program};
  arguments.insert(arguments.end(), own.arguments.begin(), own.arguments.end());
  std::vector<std::string> environment;
  // The first of two equal names is the one that getenv() finds.
  for (const auto& [name, value] : own.environment) environment.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);

  const Ends out = MakePipe();
  const Ends err = own.terminal ? MakeTerminal() : MakePipe();
  process->pid_ = ::fork();
  Must(process->pid_ >= 0, "fork");
  if (process->pid_ == 0) {
    Become(argument_pointers, environment_pointers, own.folder.c_str(), out.write, err.write);
  }
  ::close(out.write);
  ::close(err.write);
  Process* self = process.get();
  process->out_reader_ = std::thread([self, out] { self->Read(out.read, &self->out_); });
  process->err_reader_ = std::thread([self, err] { self->Read(err.read, &self->err_); });
  return process;
}

Process::~Process() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    Reap(/*block=*/true);
  }
  if (out_reader_.joinable()) out_reader_.join();
  if (err_reader_.joinable()) err_reader_.join();
}

void Process::Read(int fd, std::string* to) {
  char piece[4096];
  while (true) {
    const ssize_t n = ::read(fd, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // a terminal whose program is gone gives EIO
    std::lock_guard lock(mutex_);
    to->append(piece, static_cast<size_t>(n));
  }
  ::close(fd);
}

bool Process::Reap(bool block) {
  if (ended_) return true;
  int status = 0;
  rusage usage{};
  pid_t pid;
  do {
    pid = ::wait4(pid_, &status, block ? 0 : WNOHANG, &usage);
  } while (pid < 0 && errno == EINTR);
  if (pid == 0) return false;
  Must(pid == pid_, "wait4");
  ended_ = true;
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  result_.max_rss_kb = usage.ru_maxrss;
  return true;
}

void Process::Signal(int signal) {
  if (!ended_) ::kill(pid_, signal);
}

bool Process::ErrorHolds(const std::string& text) {
  std::lock_guard lock(mutex_);
  return err_.find(text) != std::string::npos;
}

std::string Process::ErrorSoFar() {
  std::lock_guard lock(mutex_);
  return err_;
}

bool Process::WaitForError(const std::string& text) {
  while (!ErrorHolds(text)) {
    if (Reap(/*block=*/false) || NowMs() > deadline_ms_) return ErrorHolds(text);
    SleepMs(2);
  }
  return true;
}

bool Process::WaitMs(int ms) {
  const int64_t until = NowMs() + ms;
  while (!Reap(/*block=*/false)) {
    if (NowMs() >= until) return false;
    SleepMs(1);
  }
  return true;
}

ProcessResult Process::Finish() {
  const int64_t left = deadline_ms_ - NowMs();
  if (!WaitMs(left > 0 ? static_cast<int>(left) : 0)) {
    result_.timed_out = true;
    ::kill(pid_, SIGKILL);
    Reap(/*block=*/true);
  }
  out_reader_.join();
  err_reader_.join();
  result_.out = std::move(out_);
  result_.err = std::move(err_);
  return std::move(result_);
}

ProcessResult RunProcess(ProcessOptions options) {
  return Process::Start(std::move(options))->Finish();
}

ProcessResult RunManako(std::vector<std::string> arguments) {
  return RunProcess({.arguments = std::move(arguments)});
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace manako
