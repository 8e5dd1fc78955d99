#include "base/database.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::array<std::string_view, 1> kSteps = {
    "CREATE TABLE sites (name TEXT PRIMARY KEY, rounds INTEGER NOT NULL DEFAULT 0, seen REAL, hash "
    "BLOB) STRICT;"
    "CREATE TABLE updates (id INTEGER PRIMARY KEY, site TEXT NOT NULL REFERENCES sites(name), body "
    "BLOB) STRICT;"};

class DatabaseTest : public testing::Test {
 protected:
  std::string Path(const std::string& name = "db") { return folder_ / name; }
  std::unique_ptr<Database> OpenOrDie(const DatabaseOptions& options = {}) {
    auto database = Database::Open(Path(), kSteps, options);
    EXPECT_TRUE(database.ok()) << database.status();
    return *std::move(database);
  }
  const TemporaryFolder folder_;
};

TEST_F(DatabaseTest, TypesGoInAndOut) {
  auto database = OpenOrDie();
  const std::string bytes("\0\xff\n", 3);
  ASSERT_TRUE(database
                  ->Run("INSERT INTO sites VALUES (?1, ?2, ?3, ?4)", "東", int64_t{1} << 62, 0.1,
                        Blob{bytes})
                  .ok());
  ASSERT_TRUE(database
                  ->Run("INSERT INTO sites VALUES (?1, ?2, ?3, ?4)", std::string("b"), 7u,
                        std::optional<double>(), nullptr)
                  .ok());
  EXPECT_EQ(database->changes(), 1);
  auto rows = database->Prepare("SELECT name, rounds, seen, hash FROM sites ORDER BY name DESC");
  ASSERT_TRUE(rows.ok());
  ASSERT_TRUE(*rows->Step());
  EXPECT_EQ(rows->columns(), 4);
  EXPECT_EQ(rows->Text(0), "東");
  EXPECT_EQ(rows->Int(1), int64_t{1} << 62);
  EXPECT_EQ(rows->Real(2), 0.1);
  EXPECT_EQ(rows->Bytes(3), bytes);
  ASSERT_TRUE(*rows->Step());
  EXPECT_EQ(rows->Int(1), 7);
  EXPECT_TRUE(rows->IsNull(2));
  EXPECT_TRUE(rows->IsNull(3));
  EXPECT_FALSE(*rows->Step());
  // An empty text is not NULL, also when it has no address.
  ASSERT_TRUE(
      database->Run("INSERT INTO sites (name, hash) VALUES (?1, ?2)", std::string_view(), Blob{})
          .ok());
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM sites WHERE name = '' AND hash IS NOT NULL"),
            1);
}

TEST_F(DatabaseTest, AStatementIsBoundAgain) {
  auto database = OpenOrDie();
  auto insert = database->Prepare("INSERT INTO sites (name, rounds) VALUES (?1, ?2)");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(insert->Bind(fmt::format("s{}", i), i).ok());
    ASSERT_TRUE(insert->Run().ok());
  }
  EXPECT_EQ(*database->GetInt("SELECT sum(rounds) FROM sites"), 3);
  EXPECT_EQ(insert->Bind("one").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(insert->Bind("x", ~uint64_t{0}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DatabaseTest, OpensAsPromised) {
  auto database = OpenOrDie();
  EXPECT_EQ(*database->GetText("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(*database->GetInt("PRAGMA synchronous"), 2);
  EXPECT_EQ(*database->GetInt("PRAGMA foreign_keys"), 1);
  ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('a')").ok());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(stat((Path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0077, 0u) << suffix << " can be read by others";
  }
}

TEST_F(DatabaseTest, ErrorsHaveTheirCodesAndNameTheFile) {
  auto database = OpenOrDie();
  ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('a')").ok());
  const absl::Status twice = database->Run("INSERT INTO sites (name) VALUES ('a')");
  EXPECT_EQ(twice.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(MessageOf(twice)), HasSubstr(Path()));
  EXPECT_EQ(database->Run("INSERT INTO updates (site) VALUES ('nobody')").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(database->Run("INSERT INTO sites (name, rounds) VALUES ('b', 'many')").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(database->Run("SELEKT").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database->Run("SELECT 1; SELECT 2").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database->GetInt("SELECT rounds FROM sites WHERE name = ?1", "z").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Database::Open(Path("none/db"), kSteps).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(Database::Open(folder_.path(), kSteps).ok());
}

TEST_F(DatabaseTest, TransactionIsAllOrNothing) {
  auto database = OpenOrDie();
  {
    auto transaction = Transaction::Begin(database.get());
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('lost')").ok());
    EXPECT_EQ(Transaction::Begin(database.get()).status().code(), absl::StatusCode::kInternal);
  }
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM sites"), 0);
  {
    auto transaction = Transaction::Begin(database.get());
    ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('kept')").ok());
    ASSERT_TRUE(transaction->Commit().ok());
  }
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM sites"), 1);
}

TEST_F(DatabaseTest, AnotherWriterIsUnavailable) {
  auto database = OpenOrDie();
  auto other = OpenOrDie({.busy_timeout_ms = 1});
  auto transaction = Transaction::Begin(database.get());
  ASSERT_TRUE(transaction.ok());
  const absl::Status busy = other->Run("INSERT INTO sites (name) VALUES ('a')");
  EXPECT_EQ(busy.code(), absl::StatusCode::kUnavailable) << busy;
  EXPECT_EQ(Transaction::Begin(other.get()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(DatabaseTest, SchemaGrowsStepByStep) {
  { ASSERT_TRUE(OpenOrDie()->Run("INSERT INTO sites (name) VALUES ('old')").ok()); }
  const std::array<std::string_view, 3> more = {
      kSteps[0], "ALTER TABLE sites ADD COLUMN state TEXT NOT NULL DEFAULT 'active'",
      "CREATE TABLE runs (name TEXT PRIMARY KEY) STRICT; INSERT INTO runs VALUES ('r'); SELECT "
      "broken"};
  // The third step fails: the second stands, of the third nothing.
  const absl::Status failed = Database::Open(Path(), more).status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(MessageOf(failed)), HasSubstr("version 3"));
  {
    auto database = Database::Open(Path(), std::span(more).first(2));
    ASSERT_TRUE(database.ok()) << database.status();
    EXPECT_EQ(*(*database)->GetText("SELECT state FROM sites"), "active");
    EXPECT_EQ(*(*database)->GetInt("SELECT count(*) FROM sqlite_schema WHERE name = 'runs'"), 0);
  }
  const absl::Status newer = Database::Open(Path(), kSteps).status();
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(newer)), HasSubstr("version 2"));
}

void Fill(Database& database, int rows) {
  ASSERT_TRUE(database.Run("INSERT INTO sites (name) VALUES ('a')").ok());
  for (int i = 0; i < rows; ++i) {
    ASSERT_TRUE(database.Run("INSERT INTO updates (site, body) VALUES ('a', zeroblob(3000))").ok());
  }
}

TEST_F(DatabaseTest, ADamagedPageIsDataLoss) {
  Fill(*OpenOrDie(), 50);  // closed: all is in the one file
  std::string bytes = *ReadFile(Path());
  ASSERT_GT(bytes.size(), 20u * 4096);
  int refused = 0;
  // Every page in turn, but the first, which is next.
  for (size_t page = 1; page < bytes.size() / 4096; ++page) {
    std::string damaged = bytes;
    for (size_t i = 0; i < 4096; ++i) damaged[page * 4096 + i] = static_cast<char>(0xa5);
    ASSERT_TRUE(WriteFileAtomically(Path(), damaged).ok());
    const absl::Status status = Database::Open(Path(), kSteps).status();
    if (status.ok()) continue;  // a page that holds values alone
    ++refused;
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("put the last backup in its place"));
    EXPECT_EQ(MessageOf(status).find('\n'), std::string_view::npos);
  }
  EXPECT_GT(refused, 20);
  for (const std::string& other :
       {std::string("This is a letter, not a database. ") + std::string(5000, 'x'),
        bytes.substr(0, bytes.size() / 2)}) {
    ASSERT_TRUE(WriteFileAtomically(Path(), other).ok());
    EXPECT_EQ(Database::Open(Path(), kSteps).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(DatabaseTest, PastItsLimitIsResourceExhaustedAndNothingIsLost) {
  auto database = OpenOrDie({.max_pages = 30});
  ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('a')").ok());
  absl::Status status;
  int kept = 0;
  while (status.ok() && kept < 1000) {
    status = database->Run("INSERT INTO updates (site, body) VALUES ('a', zeroblob(3000))");
    kept += status.ok();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM updates"), kept);
}

// A disk of one megabyte, where this user may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    fs::create_directories(path_);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool mounted_;
};

TEST_F(DatabaseTest, AFullDiskIsResourceExhaustedAndNothingIsLost) {
  const SmallDisk disk(Path("disk"));
  if (!disk.mounted())
    GTEST_SKIP() << "needs a small disk of its own, which this user may not mount";
  auto database = Database::Open(disk.path() + "/db", kSteps);
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)->Run("INSERT INTO sites (name) VALUES ('a')").ok());
  absl::Status status;
  int kept = 0;
  while (status.ok() && kept < 1000) {
    auto transaction = Transaction::Begin(database->get());
    if (!transaction.ok()) {
      status = transaction.status();
      break;
    }
    status = (*database)->Run("INSERT INTO updates (site, body) VALUES ('a', randomblob(3000))");
    if (status.ok()) status = transaction->Commit();
    kept += status.ok();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_GT(kept, 10);
  EXPECT_EQ(*(*database)->GetInt("SELECT count(*) FROM updates"), kept);
  EXPECT_EQ((*database)->Backup(disk.path() + "/copy").code(),
            absl::StatusCode::kResourceExhausted);
  database->reset();
  auto again = Database::Open(disk.path() + "/db", kSteps);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*(*again)->GetInt("SELECT count(*) FROM updates"), kept);
}

// A child process that is killed, so that no destructor and no exit handler runs.
class Victim {
 public:
  template <typename Body>
  explicit Victim(Body body) {
    EXPECT_EQ(pipe(pipe_), 0);
    pid_ = fork();
    if (pid_ == 0) {
      body(pipe_[1]);
      pause();
      _exit(0);
    }
    close(pipe_[1]);
  }
  // The next byte that it wrote: how far it is.
  char Read() {
    char c = 0;
    EXPECT_EQ(read(pipe_[0], &c, 1), 1);
    return c;
  }
  // Kills it; gives what it had still written.
  std::string Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    std::string rest(1 << 16, '\0');
    const ssize_t n = read(pipe_[0], rest.data(), rest.size());
    rest.resize(n > 0 ? static_cast<size_t>(n) : 0);
    close(pipe_[0]);
    return rest;
  }

 private:
  int pipe_[2];
  pid_t pid_;
};

TEST_F(DatabaseTest, KilledInATransactionLeavesWhatWasCommitted) {
  Victim victim([&](int told) {
    auto database = *Database::Open(Path(), kSteps);
    database->Run("INSERT INTO sites (name) VALUES ('committed')").IgnoreError();
    // A cache too small for what follows: its pages go to the log before any commit.
    database->RunScript("PRAGMA cache_size = 4").IgnoreError();
    auto transaction = *Transaction::Begin(database.get());
    for (int i = 0; i < 500; ++i) {
      database->Run("INSERT INTO updates (site, body) VALUES ('committed', zeroblob(3000))")
          .IgnoreError();
    }
    (void)!write(told, "x", 1);
    pause();
  });
  EXPECT_EQ(victim.Read(), 'x');
  victim.Kill();
  EXPECT_GT(fs::file_size(Path() + "-wal"), 500u * 3000);
  auto database = OpenOrDie();
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM sites"), 1);
  EXPECT_EQ(*database->GetInt("SELECT count(*) FROM updates"), 0);
}

TEST_F(DatabaseTest, KilledAtAnyMomentKeepsEveryCommitThatWasTold) {
  int told = 0;
  OpenOrDie();
  for (int kill_after = 1; kill_after <= 10; ++kill_after) {
    Victim victim([&](int pipe) {
      auto database = *Database::Open(Path(), kSteps);
      while (true) {
        // Two tables that must agree.
        auto transaction = *Transaction::Begin(database.get());
        database->Run("INSERT INTO sites (name) VALUES ((SELECT count(*) FROM sites))")
            .IgnoreError();
        database
            ->Run(
                "INSERT INTO updates (site) VALUES ((SELECT max(CAST(name AS INTEGER)) FROM "
                "sites))")
            .IgnoreError();
        if (transaction.Commit().ok()) (void)!write(pipe, "x", 1);
      }
    });
    for (int i = 0; i < kill_after; ++i) victim.Read();
    told += kill_after + static_cast<int>(victim.Kill().size());
    auto database = OpenOrDie();
    const int64_t found = *database->GetInt("SELECT count(*) FROM sites");
    EXPECT_EQ(*database->GetInt("SELECT count(*) FROM updates"), found);
    // One more may have been committed than the child came to tell.
    EXPECT_GE(found, told);
    EXPECT_LE(found, told + 1);
    told = static_cast<int>(found);
  }
}

TEST_F(DatabaseTest, BackupIsWholeWhileWritersGoOn) {
  auto database = OpenOrDie();
  Fill(*database, 50);
  std::thread backup([&] { EXPECT_TRUE(database->Backup(Path("copy")).ok()); });
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(
        database->Run("INSERT INTO updates (site, body) VALUES ('a', zeroblob(3000))").ok());
  }
  backup.join();
  // In the middle of a transaction too: what is committed.
  auto transaction = Transaction::Begin(database.get());
  ASSERT_TRUE(database->Run("INSERT INTO sites (name) VALUES ('uncommitted')").ok());
  ASSERT_TRUE(database->Backup(Path("second")).ok());
  // One file, closed to others, that opens as any.
  EXPECT_FALSE(fs::exists(Path("second-wal")));
  EXPECT_FALSE(fs::exists(Path("second-journal")));
  struct stat info {};
  ASSERT_EQ(stat(Path("second").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto copy = Database::Open(Path("copy"), kSteps);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_GE(*(*copy)->GetInt("SELECT count(*) FROM updates"), 50);
  auto second = Database::Open(Path("second"), kSteps);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(*(*second)->GetInt("SELECT count(*) FROM updates"), 100);
  EXPECT_EQ(*(*second)->GetInt("SELECT count(*) FROM sites"), 1);
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path().string().find(".part."), std::string::npos) << entry.path();
  }
  EXPECT_EQ(database->Backup(Path("none/copy")).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace manako
