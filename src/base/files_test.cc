#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/temporary_folder.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) { return folder_ / name; }
  const TemporaryFolder folder_;
};

TEST_F(FilesTest, AtomicWriteReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "one").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "two").ok());
  EXPECT_EQ(*ReadFile(Path("a")), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

// A secret is never in a file that others can read, not even while it is being written.
TEST_F(FilesTest, ModeIsTheFilesFromItsFirstByte) {
  const mode_t old_umask = umask(0);
  const auto mode_of = [](const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 0777;
  };
  {
    auto writer = *AtomicFileWriter::Create(Path("secret"), 0600);
    ASSERT_TRUE(writer->Append("x").ok());
    EXPECT_EQ(mode_of(writer->temporary_path()), 0600u);
  }
  ASSERT_TRUE(WriteFileAtomically(Path("secret"), "x", 0600).ok());
  EXPECT_EQ(mode_of(Path("secret")), 0600u);
  ASSERT_TRUE(WriteFileAtomically(Path("public"), "x").ok());
  EXPECT_EQ(mode_of(Path("public")), 0644u);
  umask(old_umask);
}

TEST_F(FilesTest, WriterWithoutCommitLeavesNothing) {
  { ASSERT_TRUE((*AtomicFileWriter::Create(Path("a")))->Append("x").ok()); }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

// A write that the system cuts short (here: the process's file size limit, as with a full disk)
// leaves the old file.
TEST_F(FilesTest, FailedWriteKeepsTheOldContent) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "old").ok());
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const bool failed = !WriteFileAtomically(Path("a"), std::string(100000, 'x')).ok();
    _exit(failed ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(*ReadFile(Path("a")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(FilesTest, RemovesWhatKilledWritersLeft) {
  const pid_t child = fork();
  if (child == 0) {
    auto writer = AtomicFileWriter::Create(Path("model.pt"));
    _exit(writer.ok() && (*writer)->Append("half").ok() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  ASSERT_TRUE(WriteFileAtomically(Path("my.part.file"), "stays").ok());
  ASSERT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
  RemoveUnfinishedFiles(folder_.path());
  ASSERT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
  EXPECT_TRUE(fs::exists(Path("my.part.file")));
}

// A folder of decoded images may be shared by several runs at once.
TEST_F(FilesTest, FilesThatAreBeingWrittenAreNotUnfinished) {
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  char c = 0;
  if (child == 0) {
    close(done[1]);
    auto writer = AtomicFileWriter::Create(Path("theirs"));
    bool good = writer.ok() && (*writer)->Append("whole").ok() && write(ready[1], "r", 1) == 1;
    good = good && read(done[0], &c, 1) == 0;
    _exit(good && (*writer)->Commit().ok() ? 0 : 1);
  }
  close(done[0]);
  ASSERT_EQ(read(ready[0], &c, 1), 1);
  {
    auto mine = *AtomicFileWriter::Create(Path("mine"));
    RemoveUnfinishedFiles(folder_.path());
    ASSERT_TRUE(mine->Append("whole").ok());
    ASSERT_TRUE(mine->Commit().ok());
  }
  close(done[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the other process could not finish its file";
  EXPECT_EQ(*ReadFile(Path("mine")), "whole");
  EXPECT_EQ(*ReadFile(Path("theirs")), "whole");
  close(ready[0]);
  close(ready[1]);
}

TEST_F(FilesTest, LineLogCutsATornLine) {
  {
    auto log = *LineLog::Open(Path("log"));
    ASSERT_TRUE(log->Append("one").ok());
  }
  std::ofstream(Path("log"), std::ios::app) << "two, torn";
  {
    auto log = *LineLog::Open(Path("log"));
    ASSERT_TRUE(log->Append("three").ok());
  }
  EXPECT_EQ(*ReadFile(Path("log")), "one\nthree\n");
}

TEST_F(FilesTest, SecondLockIsRefusedAndNamesTheHolder) {
  auto lock = FolderLock::Take(folder_.path());
  ASSERT_TRUE(lock.ok());
  auto second = FolderLock::Take(folder_.path());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(std::to_string(getpid())), absl::string_view::npos);
  lock->reset();
  EXPECT_TRUE(FolderLock::Take(folder_.path()).ok());
}

TEST_F(FilesTest, ErrorsNameThePath) {
  EXPECT_EQ(ReadFile(Path("none")).status().code(), absl::StatusCode::kNotFound);
  std::ofstream(Path("file")) << "x";
  EXPECT_FALSE(MakeFolders(Path("file/sub")).ok());
  EXPECT_EQ(ReadFile(Path("file"), 0).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FilesTest, MapsAnEmptyFile) {
  std::ofstream(Path("empty"));
  EXPECT_EQ((*MappedFile::Open(Path("empty")))->bytes().size(), 0u);
}

}  // namespace
}  // namespace manako
