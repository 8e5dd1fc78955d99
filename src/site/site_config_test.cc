#include "site/site_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status_macros.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SiteConfig Good() {
  SiteConfig config;
  config.server.address = "fed.example.org:8443";
  config.server.federation = "Himeji Eye Federation";
  config.server.site = "east-clinic";
  config.data.path = "/srv/\"images\"";
  config.labels = {{"正常", {"normal"}}, {"OAG", {"open_angle", "glaucoma"}}, {"unusable", {}}};
  return config;
}

std::string Text(const absl::Status& status) { return std::string(MessageOf(status)); }

TEST(SiteConfigTest, BothFormsOfTomlComeBack) {
  const SiteConfig config = Good();
  ASSERT_TRUE(config.Validate().ok()) << config.Validate();
  for (const std::string& text : {config.ToToml(), config.ToCommentedToml()}) {
    const auto read = SiteConfig::FromToml(text, "site.toml");
    ASSERT_TRUE(read.ok()) << read.status() << text;
    EXPECT_EQ(read->ToToml(), config.ToToml());
    EXPECT_THAT(read->labels.at("OAG"), ElementsAre("open_angle", "glaucoma"));
    EXPECT_THAT(read->labels.at("unusable"), IsEmpty());
  }
}

TEST(SiteConfigTest, EveryFieldHasItsCommentAbove) {
  const std::string text = Good().ToCommentedToml();
  EXPECT_THAT(
      text,
      HasSubstr(
          "# The most that may leave of a test: metrics, histograms, scores\n# metrics: loss"));
  int fields = 0;
  SiteConfig config;
  VisitFields(config, [&](const char*, const char* key, const auto&, const char* help) {
    ++fields;
    EXPECT_THAT(text, HasSubstr(std::string("# ") + help + "\n"));
    EXPECT_THAT(text, HasSubstr(std::string("\n") + key + " = "));
  });
  EXPECT_GT(fields, 20);
}

TEST(SiteConfigTest, WhatNobodyKnowsIsRefusedWithItsLine) {
  EXPECT_EQ(Text(SiteConfig::FromToml("[policy]\n\nmin_cuont = 3\n", "site.toml").status()),
            "site.toml: line 3: policy.min_cuont is no setting that this version knows");
  EXPECT_EQ(Text(SiteConfig::FromToml("[labels]\n\"a\" = 3\n", "site.toml").status()),
            "site.toml: line 2: labels.\"a\" must be a class in quotes, or a list of classes");
  EXPECT_EQ(Text(SiteConfig::FromToml("[policy]\nreports = 3\n", "site.toml").status()),
            "site.toml: line 2: policy.reports must be a text in quotes");
  EXPECT_EQ(Text(SiteConfig::FromToml("labels = 3\n", "site.toml").status()),
            "site.toml: line 1: labels stands outside every table");
}

TEST(SiteConfigTest, ValidateNamesFieldAndValue) {
  const auto error = [](auto change) {
    SiteConfig config = Good();
    change(config);
    return Text(config.Validate());
  };
  EXPECT_EQ(error([](SiteConfig& c) { c.policy.reports = "all"; }),
            "policy.reports must be one of metrics, histograms, scores, but is all");
  EXPECT_EQ(error([](SiteConfig& c) { c.policy.approval = ""; }),
            "policy.approval must be one of none, run, first_round, each_round, but is empty");
  EXPECT_EQ(error([](SiteConfig& c) { c.data.path = ""; }),
            "data.path is empty: say where the images are");
  EXPECT_EQ(error([](SiteConfig& c) { c.data.test_share = 0.95; }),
            "data.test_share must be from 0.01 to 0.9, but is 0.95");
  EXPECT_EQ(error([](SiteConfig& c) { c.data.site_value = "east"; }),
            "data.site_value is east, but data.site_column is empty: name the column");
  EXPECT_EQ(error([](SiteConfig& c) { c.labels["x"] = {""}; }),
            "labels.\"x\" is an empty text: name a class, or write [] to leave these images out");
  EXPECT_THAT(error([](SiteConfig& c) { c.server.site = "East Clinic"; }),
              HasSubstr("server.site"));
  EXPECT_THAT(error([](SiteConfig& c) { c.server.address = ""; }), HasSubstr("server.address"));
  EXPECT_THAT(error([](SiteConfig& c) { c.server.proxy = "ftp://x"; }), HasSubstr("server.proxy"));
}

}  // namespace
}  // namespace manako
