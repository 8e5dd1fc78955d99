// A site as the server sees one, without images and learning: it speaks the protocol over real TLS
// from within the test, so that a federation of them costs no training, and can do what no honest
// site does.
#ifndef MANAKO_TESTS_PEER_H_
#define MANAKO_TESTS_PEER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "core/model_spec.h"
#include "identity/private_key.h"
#include "wire/grpc_channel.h"

namespace manako {

class Peer {
 public:
  // Has joined the federation with the invitation line, at `port` instead of the invitation's; its
  // files are in `folder`.
  Peer(const std::string& invitation, int port, const std::string& folder);

  const std::string& name() const { return joined_.site; }
  const PrivateKey& key() const { return *key_; }
  const Joined& joined() const { return joined_; }
  GrpcChannel& channel() { return *channel_; }
  // Another connection; with another certificate or key, or at another port, where they are given.
  std::unique_ptr<GrpcChannel> Connect(const std::string& certificate = "",
                                       const PrivateKey* key = nullptr, int port = 0) const;

  // The next task of a kind: asks until it comes, through errors that pass. None: another kind
  // came, or an error that does not pass.
  template <typename T>
  std::optional<T> Next() {
    for (int i = 0; i < 600; ++i) {
      const auto task = channel_->NextTask();
      last_error_ = task.status();
      if (!task.ok() && task.status().code() != absl::StatusCode::kUnavailable) return std::nullopt;
      if (!task.ok()) Pause();
      if (!task.ok() || std::holds_alternative<Wait>(*task)) continue;
      if (!std::holds_alternative<T>(*task)) return std::nullopt;
      return std::get<T>(*task);
    }
    return std::nullopt;
  }
  const absl::Status& last_error() const { return last_error_; }

  // Says yes to the run that is offered, with so many training images of each class.
  absl::Status Agree(int64_t images = 10);
  absl::Status Decline();
  // "Trains": the round's model with `change` made to each of its numbers, as an update's file.
  // `spec` is the run's.
  absl::StatusOr<Submission> Train(const RoundTask& task,
                                   const std::shared_ptr<const ModelSpec>& spec,
                                   const std::function<float(float)>& change);
  std::string UpdateFile() const { return folder_ + "/" + name() + ".update"; }
  // Sends it, through errors that pass.
  absl::StatusOr<Receipt> Send(const Submission& submission);
  // Train() by adding `add`, Send(): a whole round, which must be the next task.
  absl::StatusOr<Receipt> DoRound(const std::shared_ptr<const ModelSpec>& spec, float add);
  absl::Status DoTest();
  // Works until the run is over: rounds, tests, its end. The SHA-256 of the final model.
  absl::StatusOr<std::string> WorkToTheEnd(const std::shared_ptr<const ModelSpec>& spec, float add);

 private:
  static void Pause();
  absl::Status Persist(const std::function<absl::Status()>& call);

  std::string folder_;
  int port_;
  std::unique_ptr<PrivateKey> key_;
  Joined joined_;
  std::unique_ptr<GrpcChannel> channel_;
  absl::Status last_error_;
};

}  // namespace manako

#endif  // MANAKO_TESTS_PEER_H_
