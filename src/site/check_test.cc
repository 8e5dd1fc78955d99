#include "site/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site/testing.h"

namespace manako {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class CheckTest : public AgentTest {
 protected:
  CheckTest() : server_(root_ / "server") {
    check_.folder = Folder();
    check_.config = config_;
    check_.sample = LinearRun();
    check_.work = &work_;
    check_.channel = &server_;
    check_.now_ms = [] { return 1'000'000; };
    server_.on_status = [this](const SiteStatus&) {
      StatusReply reply;
      reply.time_ms = 1'000'000 + skew_ms_;
      return reply;
    };
  }
  std::vector<std::string> Said(Finding::Level level) const {
    std::vector<std::string> said;
    for (const Finding& finding : CheckSite(check_)) {
      if (finding.level == level)
        said.push_back(finding.what + (finding.fix.empty() ? "" : " -> " + finding.fix));
    }
    return said;
  }
  FolderServer server_;
  SiteCheck check_;
  int64_t skew_ms_ = 0;
};

TEST_F(CheckTest, ASiteInOrder) {
  const std::string key = SitePath("site.key");
  ASSERT_TRUE(WriteFileAtomically(key, "k", 0600).ok());
  check_.key_files = {key};
  EXPECT_THAT(Said(Finding::Level::kError), testing::IsEmpty());
  const auto good = Said(Finding::Level::kGood);
  EXPECT_THAT(good, Contains("normal: 30 images to train, 6 to validate, 10 to test"));
  EXPECT_THAT(
      good,
      Contains(
          "glaucoma: 24 images to train, 5 to validate, 3 to test; the server is told 24, 5, 5"));
  EXPECT_THAT(good, Contains("fed.example.org:8443 answers within 0 ms"));
}

TEST_F(CheckTest, EverythingThatIsWrongIsSaidAtOnce) {
  const std::string key = SitePath("site.key");
  ASSERT_TRUE(WriteFileAtomically(key, "k", 0644).ok());
  check_.key_files = {key, SitePath("none.key")};
  check_.config.policy.min_images_per_class = 25;
  check_.config.policy.reports = "all";
  skew_ms_ = 3'600'000;
  const auto errors = Said(Finding::Level::kError);
  EXPECT_THAT(errors, Contains(HasSubstr("policy.reports must be one of")));
  EXPECT_THAT(errors, Contains(HasSubstr("(mode 644) -> chmod 600 " + key)));
  EXPECT_THAT(errors, Contains(HasSubstr("none.key: No such file")));
  const auto warnings = Said(Finding::Level::kWarning);
  EXPECT_THAT(warnings, Contains(HasSubstr("fewer than 25 training images of class glaucoma")));
  EXPECT_THAT(warnings, Contains(HasSubstr("this clock is 3600 s behind the server's")));
  EXPECT_EQ(WorstOf(CheckSite(check_)), Finding::Level::kError);

  work_.prepare_error = absl::NotFoundError("/srv/images is no folder");
  EXPECT_THAT(Said(Finding::Level::kError), Contains(HasSubstr("/srv/images is no folder")));
  check_.folder.root = "/nowhere";
  EXPECT_THAT(Said(Finding::Level::kError), Contains(HasSubstr("/nowhere cannot be written")));
}

}  // namespace
}  // namespace manako
