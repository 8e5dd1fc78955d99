#include "server/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/hash.h"
#include "base/temporary_folder.h"
#include "server/enrolment.h"
#include "server/federation_store.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

class BackupTest : public testing::Test {
 protected:
  void SetUp() override {
    CentralOptions options;
    options.name = "Test";
    options.host = "127.0.0.1";
    ASSERT_TRUE(MakeCentral(Central(), options, 1000).ok());
  }
  std::string Central() const { return folder_ / "central"; }
  std::string Path(const std::string& name) const { return folder_ / name; }
  static mode_t Mode(const std::string& path) {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }
  // A run in round `round`, whose model holds `text`.
  static RunRecord Run(int round, const std::string& text) {
    RunRecord run;
    run.id = "r";
    run.wanted = "running";
    run.state = "training";
    run.round = round;
    run.rounds_state =
        nlohmann::json{{"models", {{std::to_string(round), {Sha256Hex(text), text.size()}}}},
                       {"wires", {{std::to_string(round), {Sha256Hex(text), text.size()}}}},
                       {"rounds",
                        {{"round", round + 1},
                         {"open", true},
                         {"asks",
                          {{"east", {{"state", "answered"}, {"sha256", Sha256Hex("update")}}},
                           {"west", {{"state", "waiting"}, {"sha256", ""}}}}}}}}
            .dump();
    return run;
  }
  std::string ModelPath(int round) const {
    return fmt::format("{}/runs/r/models/round-{}.arr", Central(), round);
  }
  absl::Status WriteSpool(int round) const {
    const std::string spool = fmt::format("{}/runs/r/spool/{}", Central(), round);
    if (absl::Status made = MakeFolders(spool); !made.ok()) return made;
    return WriteFileAtomically(spool + "/east." + Sha256Hex("update") + ".arr", "update");
  }
  const TemporaryFolder folder_;
};

TEST_F(BackupTest, IsPrivateWholeAndNeverOverwrites) {
  ASSERT_TRUE(WriteFileAtomically(Central() + "/web.toml", "[web]\n").ok());
  for (const std::string name : {"copy", "copy.tar"}) {
    const auto done = BackUpCentral(Central(), Path(name), 1'000'000);
    ASSERT_TRUE(done.ok()) << done.status();
    EXPECT_THAT(done->problems, IsEmpty());
    const auto again = BackUpCentral(Central(), Path(name), 1000);
    EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(again.status().message()), HasSubstr("overwrites nothing"));
  }
  EXPECT_EQ(Mode(Path("copy")), 0700u);
  EXPECT_EQ(Mode(Path("copy.tar")), 0600u);
  ASSERT_EQ(std::system(("tar -C " + folder_.path() +
                         " --one-top-level=out --strip-components=1 -xpf " + Path("copy.tar"))
                            .c_str()),
            0);
  for (const std::string copy : {"copy", "out"}) {
    for (const char* name : {"ca.key", "server.key", "ca.pem", "server.pem", "web.toml"}) {
      const std::string path = Path(copy) + "/" + name;
      EXPECT_EQ(Mode(path), 0600u) << path;
      EXPECT_EQ(*ReadFile(path), *ReadFile(Central() + "/" + name));
    }
    const auto store = FederationStore::Open(Path(copy) + "/federation.db");
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Setting("name"), "Test");
    EXPECT_TRUE(Enrolment::Open(Path(copy), store->get()).ok());
  }
  // Nothing is left of the work.
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr("unfinished")));
}

TEST_F(BackupTest, SaysWhatIsWrong) {
  const auto says = [&](const std::string& central, const std::string& to) {
    const auto done = BackUpCentral(central, to, 1000);
    EXPECT_FALSE(done.ok());
    return std::string(done.status().message());
  };
  EXPECT_THAT(says(folder_.path(), Path("copy")), HasSubstr("is no central hospital's folder"));
  EXPECT_THAT(says(Central(), Path("nowhere/copy")), HasSubstr("make it first"));
  EXPECT_THAT(says(Central(), Central() + "/copy"), HasSubstr("lies within"));
  EXPECT_THAT(says(Central(), Central() + "/runs/copy.tar"), HasSubstr("lies within"));
  fs::remove(Central() + "/server.key");
  EXPECT_THAT(says(Central(), Path("copy")), HasSubstr("server.key is missing"));
  EXPECT_FALSE(fs::exists(Path("copy")));
  fs::remove(Central() + "/federation.db");
  EXPECT_THAT(says(Central(), Path("copy")), HasSubstr("federation.db is missing"));
  EXPECT_FALSE(fs::exists(Central() + "/federation.db"));
}

TEST_F(BackupTest, TellsWhatIsDamagedAlready) {
  const auto store = *FederationStore::Open(Central() + "/federation.db");
  ASSERT_TRUE(store->AddRun(Run(0, "good")).ok());
  ASSERT_TRUE(MakeFolders(Central() + "/runs/r/models").ok());
  const auto problems = [&](const std::string& name) {
    const auto done = BackUpCentral(Central(), Path(name), 1000);
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() ? done->problems : std::vector<std::string>();
  };
  EXPECT_THAT(
      problems("a"),
      testing::ElementsAre(HasSubstr("round-0.arr is missing"),
                           testing::ContainsRegex("spool/1/east\\.[0-9a-f]+\\.arr is missing")));
  ASSERT_TRUE(WriteFileAtomically(ModelPath(0), "bad").ok());
  ASSERT_TRUE(WriteSpool(1).ok());
  EXPECT_THAT(problems("b"), testing::ElementsAre(HasSubstr("round-0.arr is damaged")));
  ASSERT_TRUE(WriteFileAtomically(ModelPath(0), "good").ok());
  EXPECT_THAT(problems("c"), IsEmpty());
}

// A server that goes from round to round as fast as it can: whatever moment a backup is of, the
// model that its database names is in it.
TEST_F(BackupTest, IsOfOneMomentWhileTheServerWorks) {
  const auto store = *FederationStore::Open(Central() + "/federation.db");
  ASSERT_TRUE(MakeFolders(Central() + "/runs/r/models").ok());
  const auto text = [](int round) {
    return std::string(50'000, static_cast<char>('a' + round % 26)) + std::to_string(round);
  };
  ASSERT_TRUE(WriteFileAtomically(ModelPath(0), text(0)).ok());
  ASSERT_TRUE(WriteSpool(1).ok());
  ASSERT_TRUE(store->AddRun(Run(0, text(0))).ok());
  // Much to look at, so that rounds pass meanwhile unless they wait.
  ASSERT_TRUE(MakeFolders(Central() + "/runs/old/models").ok());
  for (int i = 0; i < 600; ++i) {
    std::ofstream(fmt::format("{}/runs/old/models/own-{}.arr", Central(), i)) << i;
  }
  std::atomic<bool> ended = false;
  std::atomic<int> round = 0;
  std::thread server([&] {
    while (!ended) {
      const int next = round + 1;
      ASSERT_TRUE(WriteFileAtomically(ModelPath(next), text(next)).ok());
      ASSERT_TRUE(WriteSpool(next + 1).ok());
      auto batch = store->Begin();
      batch.SaveRun(Run(next, text(next)));
      ASSERT_TRUE(batch.Commit().ok());
      fs::remove(ModelPath(next - 1));
      fs::remove_all(fmt::format("{}/runs/r/spool/{}", Central(), next));
      round = next;
    }
  });
#ifdef __SANITIZE_THREAD__
  constexpr int kBackups = 8;  // each takes five seconds
#else
  constexpr int kBackups = 25;
#endif
  int last = -1, moments = 0;
  for (int i = 0; i < kBackups; ++i) {
    const std::string copy = Path(fmt::format("copy{}{}", i, i % 2 == 0 ? "" : ".tar"));
    const auto done = BackUpCentral(Central(), copy, 1000);
    ASSERT_TRUE(done.ok()) << done.status();
    EXPECT_THAT(done->problems, IsEmpty());
    moments += round != last ? 1 : 0;
    last = round;
  }
  ended = true;
  server.join();
  EXPECT_GT(moments, kBackups / 5);
}

}  // namespace
}  // namespace manako
