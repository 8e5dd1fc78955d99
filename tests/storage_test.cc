// What the federation keeps on disks goes wrong: full, read-only, damaged, removed. It is refused
// or mended, told in one clear line, and nothing wrong is averaged: every run that ends has the
// bits of an undisturbed one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/status_macros.h"
#include "fixtures.h"
#include "hospitals.h"
#include "peer.h"
#include "process.h"
#include "server/run_folder.h"
#include "small_disk.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;

// Changes one byte in the middle of a file, or at a place of it.
void Damage(const std::string& path, int64_t at = -1) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  ASSERT_TRUE(file.good()) << path;
  if (at < 0) at = static_cast<int64_t>(fs::file_size(path)) / 2;
  file.seekg(at);
  const char byte = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(byte ^ 0x55));
}

// Takes all the space that a file system has left.
void FillUp(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  const std::string block(4096, 'x');
  while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
}

// The server's federation is in a folder of the test's choice; three peers are its sites.
class StorageTest : public testing::Test {
 protected:
  void MakeFederation(const std::string& central) {
    central_ = central;
    port_ = FreePort();
    const ProcessResult made = RunManako({"server", "init", central, "--name", "Test", "--host",
                                          "127.0.0.1", "--port", std::to_string(port_)});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    StartServer();
    for (const char* site : kSites) {
      const ProcessResult invited = RunManako({"server", "invite", central, "--site", site});
      ASSERT_EQ(invited.exit_code, 0) << invited.err;
      peers_[site] = std::make_unique<Peer>(Lines(invited.out).at(0), port_, folder_.path());
    }
  }
  std::vector<std::string> ServerArguments() const {
    return {"server",    "start", central_, "--listen", fmt::format("127.0.0.1:{}", port_),
            "--threads", "1"};
  }
  void StartServer() {
    server_ = Process::Start({.arguments = ServerArguments(), .timeout_ms = 1'200'000});
    ASSERT_TRUE(server_->WaitForError("listens at")) << server_->ErrorSoFar();
  }
  void KillServer() {
    server_->Signal(SIGKILL);
    server_->Finish();
  }
  // A server that does not start: its one line.
  std::string Refusal() {
    const ProcessResult result = RunManako(ServerArguments());
    EXPECT_NE(result.exit_code, 0);
    EXPECT_EQ(Lines(result.err).size(), 1u) << result.err;
    return result.err;
  }
  void StartRun() {
    Spill(folder_ / "run.toml",
          "[run]\nname = \"test\"\nclasses = [\"a\", \"b\"]\nseed = 5\n[data]\nimage_size = "
          "32\n[model]\narchitecture = \"cnn3\"\n[train]\n"
          "local_epochs = 1\n[federation]\nrounds = 2\nselect = \"last\"\n");
    const ProcessResult created =
        RunManako({"run", "create", central_, folder_ / "run.toml", "--start"});
    ASSERT_EQ(created.exit_code, 0) << created.err;
    run_ = Lines(created.out).at(0);
    spec_ = *RunFolder(RunPath()).Spec();
  }
  std::string RunPath() const { return central_ + "/runs/" + run_; }
  void Gather() {
    for (const char* site : kSites) ASSERT_TRUE(peers_[site]->Agree().ok());
  }
  static float Add(int i) { return 0.125f * static_cast<float>(i + 1); }
  std::string WorkToTheEnd() {
    std::vector<std::thread> threads;
    absl::StatusOr<std::string> ends[3] = {absl::UnknownError(""), absl::UnknownError(""),
                                           absl::UnknownError("")};
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&, i] { ends[i] = peers_[kSites[i]]->WorkToTheEnd(spec_, Add(i)); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& end : ends) EXPECT_TRUE(end.ok()) << end.status();
    return ends[0].value_or("");
  }
  // The model that the run ends with when nothing happens.
  std::string Undisturbed() {
    static std::string model;
    if (model.empty()) {
      StartRun();
      Gather();
      model = WorkToTheEnd();
    }
    return model;
  }

  static constexpr const char* kSites[3] = {"east", "north", "west"};
  TemporaryFolder folder_;
  std::string central_, run_;
  int port_ = 0;
  std::unique_ptr<Process> server_;
  std::map<std::string, std::unique_ptr<Peer>> peers_;
  std::shared_ptr<const ModelSpec> spec_;
};

// In the system's words or the database's, whichever met it first.
bool SaysFull(const std::string& text) {
  return text.find("No space left") != std::string::npos ||
         text.find("disk is full") != std::string::npos;
}

TEST_F(StorageTest, TheServersDiskIsFullForAWhile) {
  SmallDisk disk(folder_ / "disk", "24m");
  SKIP_UNLESS_MOUNTED(disk);
  MakeFederation(folder_ / "disk/central");
  const std::string undisturbed = Undisturbed();
  StartRun();
  Gather();
  // It fills when a round is open, and has room again when somebody has seen why nothing goes on.
  ASSERT_TRUE(peers_["east"]->DoRound(spec_, Add(0)).ok());
  FillUp(folder_ / "disk/filler");
  std::thread later([&] {
    for (int i = 0; i < 1500 && !SaysFull(server_->ErrorSoFar()); ++i) Hospitals::SleepMs(20);
    // The sites' side of it is seen too: an answer that passes, and no receipt.
    Hospitals::SleepMs(500);
    fs::remove(folder_ / "disk/filler");
  });
  EXPECT_EQ(WorkToTheEnd(), undisturbed);
  later.join();
  EXPECT_TRUE(SaysFull(server_->ErrorSoFar())) << server_->ErrorSoFar();
  EXPECT_FALSE(server_->WaitMs(0));
}

TEST_F(StorageTest, AServersFolderThatCannotBeWrittenIsOneLine) {
  SmallDisk disk(folder_ / "disk", "24m");
  SKIP_UNLESS_MOUNTED(disk);
  MakeFederation(folder_ / "disk/central");
  KillServer();
  ASSERT_TRUE(disk.Remount(MS_RDONLY, "24m"));
  EXPECT_THAT(Refusal(),
              AnyOf(HasSubstr("read-only"), HasSubstr("Read-only"), HasSubstr("readonly")));
  ASSERT_TRUE(disk.Remount(0, "24m"));
  StartServer();
}

TEST_F(StorageTest, ADamagedDatabaseIsRefused) {
  MakeFederation(folder_ / "central");
  StartRun();
  KillServer();
  const std::string database = central_ + "/federation.db";
  // What stands in the journal belongs to it.
  ASSERT_EQ(RunManako({"server", "sites", central_}).exit_code, 0);
  for (const char* of : {"-wal", "-shm"}) fs::remove(database + of);
  const std::string good = Slurp(database);
  ASSERT_GT(good.size(), 3 * 4096u);
  for (const size_t page : {size_t{0}, good.size() / 4096 / 2, good.size() / 4096 - 1}) {
    SCOPED_TRACE(page);
    std::string bad = good;
    // A page whose beginning is another's: its type and its cells.
    std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(page * 4096) + (page == 0 ? 100 : 0), 200,
                '\x77');
    Spill(database, bad);
    EXPECT_THAT(Refusal(), HasSubstr("backup"));
  }
  Spill(database, good.substr(0, good.size() / 2));
  EXPECT_THAT(Refusal(), HasSubstr("backup"));
  Spill(database, "no database");
  EXPECT_THAT(Refusal(), HasSubstr("backup"));
  Spill(database, good);
  StartServer();
}

TEST_F(StorageTest, ADamagedSpoolIsAskedForAgain) {
  MakeFederation(folder_ / "central");
  const std::string undisturbed = Undisturbed();
  // Damaged, cut or gone while the server is away; damaged under it.
  for (const std::string what : {"damaged", "cut", "gone", "under it"}) {
    SCOPED_TRACE(what);
    StartRun();
    Gather();
    ASSERT_TRUE(peers_["east"]->DoRound(spec_, Add(0)).ok());
    ASSERT_TRUE(peers_["north"]->DoRound(spec_, Add(1)).ok());
    std::string spooled;
    for (const auto& entry : fs::directory_iterator(RunFolder(RunPath()).SpoolFolder(1))) {
      if (entry.path().filename().string().starts_with("east.")) spooled = entry.path();
    }
    if (what != "under it") KillServer();
    if (what == "cut") {
      fs::resize_file(spooled, fs::file_size(spooled) / 3);
    } else if (what == "gone") {
      fs::remove(spooled);
    } else {
      Damage(spooled);
    }
    if (what != "under it") StartServer();
    EXPECT_EQ(WorkToTheEnd(), undisturbed);
    EXPECT_THAT(server_->ErrorSoFar(), HasSubstr("update"));
    EXPECT_THAT(server_->ErrorSoFar(), HasSubstr("asked for again"));
  }
}

TEST_F(StorageTest, ADeletedOrDamagedModelHaltsItsRunUntilItIsBack) {
  MakeFederation(folder_ / "central");
  const std::string undisturbed = Undisturbed();
  for (const bool gone : {true, false}) {
    StartRun();
    Gather();
    ASSERT_TRUE(peers_["east"]->DoRound(spec_, Add(0)).ok());
    KillServer();
    const std::string model = RunFolder(RunPath()).ModelPath(0);
    const std::string good = Slurp(model);
    if (gone) {
      fs::remove(model);
    } else {
      Damage(model);
    }
    StartServer();
    ASSERT_TRUE(server_->WaitForError("is halted"));
    EXPECT_THAT(server_->ErrorSoFar(), HasSubstr("round-0.arr"));
    EXPECT_THAT(server_->ErrorSoFar(), HasSubstr("restore it from a backup"));
    KillServer();
    Spill(model, good);
    StartServer();
    EXPECT_EQ(WorkToTheEnd(), undisturbed);
  }
}

// One that is deleted under a running server: nothing wrong comes of it, and the log says what is
// missing.
TEST_F(StorageTest, AModelThatIsDeletedUnderTheServer) {
  MakeFederation(folder_ / "central");
  const std::string undisturbed = Undisturbed();
  StartRun();
  Gather();
  const std::string model = RunFolder(RunPath()).ModelPath(0);
  const std::string good = Slurp(model);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(peers_[kSites[i]]->DoRound(spec_, Add(i)).ok());
  const auto task = peers_["west"]->Next<RoundTask>();
  ASSERT_TRUE(task.has_value());
  const Submission submission =
      *peers_["west"]->Train(*task, spec_, [](float value) { return value + Add(2); });
  fs::remove(model);
  static_cast<void>(
      peers_["west"]->channel().Submit(submission, peers_["west"]->UpdateFile(), nullptr));
  EXPECT_TRUE(server_->WaitForError("round-0.arr")) << server_->ErrorSoFar();
  Spill(model, good);
  KillServer();
  StartServer();
  EXPECT_EQ(WorkToTheEnd(), undisturbed);
}

TEST_F(StorageTest, RecordsThatWereChangedAreRefused) {
  MakeFederation(folder_ / "central");
  StartRun();
  Gather();
  WorkToTheEnd();
  KillServer();
  const std::string log = central_ + "/receipts.log";
  const std::string good = Slurp(log);
  Damage(log);
  EXPECT_THAT(Refusal(), HasSubstr("receipts.log"));
  Spill(log, good.substr(0, good.size() / 2));
  EXPECT_THAT(Refusal(), HasSubstr("receipts.log"));
  Spill(log, good);
  StartServer();
  KillServer();
  const std::string key = central_ + "/server.key", good_key = Slurp(key);
  Spill(key, "no key");
  EXPECT_THAT(Refusal(), HasSubstr("server.key"));
}

// ---- At a site: the program as hospitals run it ----

std::string FirstRefusalOfSite(const std::string& folder) {
  const ProcessResult result = RunManako({"site", "start", folder});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_EQ(Lines(result.err).size(), 1u) << result.err;
  return result.err;
}

TEST(SiteStorageTest, ASitesDiskIsFullForAWhile) {
  Hospitals hospitals;
  // The undisturbed run first, and then one in which west's disk fills up while it trains.
  const auto finish = [&](const std::function<void()>& meanwhile) {
    const std::string run = hospitals.CreateRun();
    EXPECT_TRUE(hospitals.WaitUntilFinished(run, meanwhile))
        << hospitals.Show(run).dump(2) << hospitals.Said("west");
    return hospitals.Digest(run, 3);
  };
  hospitals.Start("east");
  hospitals.Start("north");
  SmallDisk disk(hospitals.path("disk"), "12m");
  SKIP_UNLESS_MOUNTED(disk);
  fs::copy(hospitals.site("west"), hospitals.path("disk/west"), fs::copy_options::recursive);
  fs::remove_all(hospitals.site("west"));
  fs::create_directory_symlink(hospitals.path("disk/west"), hospitals.site("west"));
  hospitals.Start("west");
  const std::string undisturbed = finish([] {});
  bool filled = false, emptied = false;
  const size_t before = hospitals.Said("west").size();
  EXPECT_EQ(finish([&] {
              const std::string said = hospitals.Said("west").substr(before);
              if (!filled && said.find("round 1 of 3: training") != std::string::npos) {
                FillUp(hospitals.path("disk/filler"));
                filled = true;
              }
              if (filled && !emptied && said.find("No space left") != std::string::npos) {
                fs::remove(hospitals.path("disk/filler"));
                emptied = true;
              }
            }),
            undisturbed);
  EXPECT_TRUE(filled && emptied) << hospitals.Said("west");
  hospitals.Kill("west");
}

TEST(SiteStorageTest, AFolderThatCannotBeWrittenOrIsDamagedIsOneLine) {
  Hospitals hospitals;
  {
    SmallDisk disk(hospitals.path("disk"), "12m");
    if (disk.mounted()) {
      fs::copy(hospitals.site("west"), hospitals.path("disk/west"), fs::copy_options::recursive);
      ASSERT_TRUE(disk.Remount(MS_RDONLY, "12m"));
      EXPECT_THAT(FirstRefusalOfSite(hospitals.path("disk/west")),
                  AnyOf(HasSubstr("Read-only"), HasSubstr("read-only")));
    }
  }
  Spill(hospitals.site("west") + "/site.key", "no key");
  EXPECT_THAT(FirstRefusalOfSite(hospitals.site("west")), HasSubstr("site.key"));
  Spill(hospitals.site("north") + "/site.toml", "[server\n");
  EXPECT_THAT(FirstRefusalOfSite(hospitals.site("north")), HasSubstr("site.toml"));
}

// The finished update, the learner's state or the agreement is damaged while the site is away: made
// again, or told.
TEST(SiteStorageTest, DamagedFilesOfARoundAreMadeAgain) {
  Hospitals hospitals;
  hospitals.StartAll();
  const std::string first = hospitals.CreateRun();
  ASSERT_TRUE(hospitals.WaitUntilFinished(first, [] {}));
  const std::string undisturbed = hospitals.Digest(first, 3);
  for (const std::string& site : Hospitals::Sites()) hospitals.Kill(site);
  // Killed with the update finished and not sent.
  hospitals.Start("west", "site.round_committed");
  hospitals.Start("east");
  hospitals.Start("north");
  const std::string run = hospitals.CreateRun();
  ProcessResult result;
  for (int i = 0; i < 3000 && !hospitals.Ended("west", &result); ++i) Hospitals::SleepMs(20);
  ASSERT_EQ(result.signal, SIGKILL) << result.err;
  int damaged = 0;
  for (const auto& entry : fs::directory_iterator(hospitals.site("west") + "/runs/" + run)) {
    if (entry.path().extension() != ".update") continue;
    Damage(entry.path().string());
    ++damaged;
  }
  ASSERT_EQ(damaged, 1);
  hospitals.Start("west");
  ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {})) << hospitals.Said("west");
  EXPECT_EQ(hospitals.Digest(run, 3), undisturbed);
  EXPECT_THAT(hospitals.Said("west"), HasSubstr("damaged or gone"));
}

}  // namespace
}  // namespace manako
