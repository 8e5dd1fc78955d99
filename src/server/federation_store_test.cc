#include "server/federation_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status_macros.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

using testing::HasSubstr;

class FederationStoreTest : public testing::Test {
 protected:
  const TemporaryFolder folder_;
  const std::unique_ptr<FederationStore> store_ = *FederationStore::Open(folder_ / "db");
};

SiteRecord East() {
  SiteRecord site;
  site.name = "east";
  site.certificate_serial = "01";
  site.public_key = "PEM";
  return site;
}

TEST_F(FederationStoreTest, AnInvitationIsGoodOnceAndForAWhile) {
  ASSERT_TRUE(store_->AddInvitation("east", "hash", 1000, 2000).ok());
  EXPECT_EQ((*store_->Site("east"))->state, "invited");
  EXPECT_EQ(*store_->InvitedSite("hash", 1500), "east");
  EXPECT_THAT(std::string(MessageOf(store_->InvitedSite("hash", 2001).status())),
              HasSubstr("expired"));
  EXPECT_THAT(std::string(MessageOf(store_->InvitedSite("other", 1500).status())),
              HasSubstr("not known"));
  ASSERT_TRUE(store_->Enrol(East(), "hash", 1500).ok());
  EXPECT_EQ(store_->Enrol(East(), "hash", 1500).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(MessageOf(store_->InvitedSite("hash", 1500).status())),
              HasSubstr("was used on 1970-01-01 00:00 UTC, and each is good once"));
  const auto invitations = *store_->Invitations();
  ASSERT_EQ(invitations.size(), 1u);
  EXPECT_EQ(invitations[0].StateAt(5000), "used");
  EXPECT_EQ((*store_->Site("east"))->state, "enrolled");
}

TEST_F(FederationStoreTest, ANewerInvitationTakesTheOlderOnesPlace) {
  ASSERT_TRUE(store_->AddInvitation("east", "first", 1000, 2000).ok());
  ASSERT_TRUE(store_->AddInvitation("east", "second", 1000, 2000).ok());
  EXPECT_THAT(std::string(MessageOf(store_->InvitedSite("first", 1500).status())),
              HasSubstr("use the newest"));
  EXPECT_EQ(store_->Enrol(East(), "first", 1500).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(*store_->InvitedSite("second", 1500), "east");
  ASSERT_TRUE(store_->Revoke("east", "not now", 1600).ok());
  EXPECT_THAT(std::string(MessageOf(store_->InvitedSite("second", 1700).status())),
              HasSubstr("withdrawn on 1970-01-01 00:00 UTC, by the central hospital"));
  EXPECT_EQ(store_->Enrol(East(), "second", 1700).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ((*store_->Site("east"))->state, "revoked");
  ASSERT_TRUE(store_->AddInvitation("east", "third", 1800, 2000).ok());
  std::string states;
  const auto invitations = *store_->Invitations();
  for (const auto& invitation : invitations) states += invitation.StateAt(1900) + " ";
  EXPECT_EQ(states, "withdrawn withdrawn open ");
  EXPECT_EQ(invitations[2].StateAt(2001), "expired");
}

TEST_F(FederationStoreTest, ARevokedSiteMayBeInvitedAnew) {
  ASSERT_TRUE(store_->AddInvitation("east", "hash", 1000, 2000).ok());
  ASSERT_TRUE(store_->Enrol(East(), "hash", 1500).ok());
  ASSERT_TRUE(store_->Revoke("east", "moved", 1600).ok());
  EXPECT_EQ((*store_->Site("east"))->state, "revoked");
  EXPECT_EQ(store_->Revoke("east", "moved", 1600).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(store_->AddInvitation("east", "again", 1700, 2000).ok());
  ASSERT_TRUE(store_->Enrol(East(), "again", 1800).ok());
  EXPECT_EQ((*store_->Site("east"))->state, "enrolled");
  const auto events = *store_->Events(0, 100);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].kind, "site_revoked");
  EXPECT_EQ(events[1].fields["why"], "moved");
  EXPECT_EQ((*store_->Events(events[1].seq, 100)).size(), 1u);
}

TEST_F(FederationStoreTest, WhatAPersonWantsIsCheckedAndKept) {
  RunRecord run;
  run.id = "run-1";
  run.wanted = run.state = "created";
  ASSERT_TRUE(store_->AddRun(run).ok());
  EXPECT_EQ(store_->AddRun(run).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(MessageOf(store_->Want("run-1", "paused", 1))),
              HasSubstr("only a running one"));
  ASSERT_TRUE(store_->Want("run-1", "running", 1).ok());
  EXPECT_THAT(std::string(MessageOf(store_->Want("run-1", "running", 1))), HasSubstr("already"));
  EXPECT_EQ(store_->Want("run-2", "running", 1).code(), absl::StatusCode::kNotFound);
  // A server that saves its state does not overwrite what a command wanted meanwhile.
  run.state = "gathering";
  auto batch = store_->Begin();
  batch.SaveRun(run);
  ASSERT_TRUE(batch.Commit().ok());
  EXPECT_EQ(store_->Run("run-1")->wanted, "running");
  EXPECT_EQ(store_->Run("run-1")->state, "gathering");
}

TEST_F(FederationStoreTest, AResultComesBackAsItWas) {
  EvaluationResult result;
  result.images = 3;
  result.loss = 0.25;
  result.metrics = {{"auc", 0.5}, {"undefined", std::nan("")}};
  result.bins = 2;
  result.histogram = {1, 0, 0, 2};
  result.labels = {0, 1, 1};
  result.probabilities = {0.5f, 0.5f, 0.1f, 0.9f, 0.2f, 0.8f};
  const EvaluationResult back = ResultFromJson(nlohmann::json::parse(ResultToJson(result).dump()));
  EXPECT_EQ(back.histogram, result.histogram);
  EXPECT_EQ(back.labels, result.labels);
  EXPECT_EQ(back.probabilities, result.probabilities);
  EXPECT_EQ(back.metrics.at("auc"), 0.5);
  EXPECT_TRUE(std::isnan(back.metrics.at("undefined")));
}

}  // namespace
}  // namespace manako
