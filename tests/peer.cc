#include "peer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "core/codec/array_file_reader.h"
#include "core/codec/array_file_writer.h"
#include "identity/invitation.h"
#include "server/run_folder.h"
#include "wire/testing.h"

namespace manako {

void Peer::Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

// As a site's agent does it, without its patience.
absl::Status Peer::Persist(const std::function<absl::Status()>& call) {
  absl::Status status;
  for (int i = 0; i < 600; ++i) {
    status = call();
    const bool passes =
        absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsDeadlineExceeded(status);
    if (!passes) return status;
    Pause();
  }
  return status;
}

Peer::Peer(const std::string& line, int port, const std::string& folder)
    : folder_(folder), port_(port) {
  Invitation invitation = *ParseInvitation(line);
  invitation.server.port = static_cast<uint16_t>(port);
  key_ = std::make_unique<PrivateKey>(*PrivateKey::Generate());
  auto joined = JoinFederation(invitation, *key_, "peer", absl::ToUnixMillis(absl::Now()));
  EXPECT_TRUE(joined.ok()) << joined.status();
  if (joined.ok()) joined_ = *std::move(joined);
  channel_ = Connect();
}

std::unique_ptr<GrpcChannel> Peer::Connect(const std::string& certificate, const PrivateKey* key,
                                           int port) const {
  GrpcChannel::Options options;
  options.server = {"127.0.0.1", static_cast<uint16_t>(port > 0 ? port : port_)};
  options.authority = joined_.authority;
  options.certificate = certificate.empty() ? joined_.certificate : certificate;
  options.software = "peer";
  options.wait_ms = 1000;
  auto channel = GrpcChannel::Connect(options, key != nullptr ? *key : *key_);
  EXPECT_TRUE(channel.ok()) << channel.status();
  return *std::move(channel);
}

absl::Status Peer::Agree(int64_t images) {
  const auto offer = Next<OfferTask>();
  if (!offer)
    return FailedPrecondition("{} is offered nothing: {}", name(), last_error_.ToString());
  return Persist([&] {
    return channel_->Answer(OfferAnswer{
        offer->run, OfferAnswer::State::kReady, {{images, images}, {2, 2}, {2, 2}}, ""});
  });
}

absl::Status Peer::Decline() {
  const auto offer = Next<OfferTask>();
  if (!offer)
    return FailedPrecondition("{} is offered nothing: {}", name(), last_error_.ToString());
  return Persist([&] {
    return channel_->Answer(OfferAnswer{offer->run, OfferAnswer::State::kRefused, {}, "not today"});
  });
}

absl::StatusOr<Submission> Peer::Train(const RoundTask& task,
                                       const std::shared_ptr<const ModelSpec>& spec,
                                       const std::function<float(float)>& change) {
  const std::string path = folder_ + "/" + name() + ".model";
  MANAKO_RETURN_IF_ERROR(
      Persist([&] { return channel_->Download(task.run, task.model, path, nullptr); }));
  MANAKO_ASSIGN_OR_RETURN(ParameterSet model, ReadModelFile(path, spec, 1));
  const ParameterSet base = model.Clone();
  for (const TensorSpec& tensor : spec->tensors()) {
    for (float& value : model.Tensor(tensor)) value = change(value);
  }
  ArrayFileHeader header;
  header.spec_hash = spec->hash();
  header.base_digest = task.model.sha256;
  header.sections = {
      {"model", static_cast<uint64_t>(spec->size()), ArrayEncoding::kFloat32, false}};
  const std::vector<ArrayPiece> pieces = {
      {.values = model.values.values(), .base = base.values.values()}};
  MANAKO_ASSIGN_OR_RETURN(
      const ArrayFileSummary summary,
      WriteArrayFile(UpdateFile(), header, pieces, {.threads = 1, .compress = false}));
  return SubmissionOf(task, summary);
}

absl::StatusOr<Receipt> Peer::Send(const Submission& submission) {
  Receipt receipt;
  MANAKO_RETURN_IF_ERROR(Persist([&] {
    auto given = channel_->Submit(submission, UpdateFile(), nullptr);
    if (given.ok()) receipt = *std::move(given);
    return given.status();
  }));
  return receipt;
}

absl::StatusOr<Receipt> Peer::DoRound(const std::shared_ptr<const ModelSpec>& spec, float add) {
  const auto task = Next<RoundTask>();
  if (!task) return FailedPrecondition("{} is given no round: {}", name(), last_error_.ToString());
  if (task->evaluate) {
    MANAKO_RETURN_IF_ERROR(Persist([&] {
      return channel_->Answer(Evaluation{task->run, task->round - 1, "", {}, {}});
    }));
  }
  MANAKO_ASSIGN_OR_RETURN(const Submission submission,
                          Train(*task, spec, [add](float value) { return value + add; }));
  return Send(submission);
}

absl::Status Peer::DoTest() {
  const auto task = Next<TestTask>();
  if (!task) return FailedPrecondition("{} is given no test: {}", name(), last_error_.ToString());
  return Persist([&] {
    return channel_->Answer(Evaluation{task->run, task->round, task->trained_by, {}, {}});
  });
}

absl::StatusOr<std::string> Peer::WorkToTheEnd(const std::shared_ptr<const ModelSpec>& spec,
                                               float add) {
  for (int i = 0; i < 1000; ++i) {
    SiteTask task;
    MANAKO_RETURN_IF_ERROR(Persist([&] {
      auto next = channel_->NextTask();
      if (next.ok()) task = *std::move(next);
      return next.status();
    }));
    if (const auto* round = std::get_if<RoundTask>(&task)) {
      if (round->evaluate) {
        MANAKO_RETURN_IF_ERROR(Persist([&] {
          return channel_->Answer(Evaluation{round->run, round->round - 1, "", {}, {}});
        }));
      }
      MANAKO_ASSIGN_OR_RETURN(const Submission submission,
                              Train(*round, spec, [add](float value) { return value + add; }));
      MANAKO_ASSIGN_OR_RETURN(const Receipt receipt, Send(submission));
      if (receipt.state != Receipt::State::kKept)
        return FailedPrecondition("{} round {}: {}", name(), round->round, receipt.why);
    } else if (const auto* test = std::get_if<TestTask>(&task)) {
      MANAKO_RETURN_IF_ERROR(Persist([&] {
        return channel_->Answer(Evaluation{test->run, test->round, test->trained_by, {}, {}});
      }));
    } else if (const auto* end = std::get_if<EndTask>(&task)) {
      MANAKO_RETURN_IF_ERROR(Persist([&] {
        return channel_->Answer(EndAnswer{end->run, end->model.sha256});
      }));
      if (end->state != "finished")
        return FailedPrecondition("the run is {}: {}", end->state, end->why);
      return end->model.sha256;
    } else if (std::holds_alternative<OfferTask>(task)) {
      return FailedPrecondition("{} is offered another run", name());
    }
  }
  return FailedPrecondition("{} never came to the end of the run", name());
}

}  // namespace manako
