#include "wire/convert.h"

#include "base/status_macros.h"

namespace manako {
namespace {

template <typename Repeated>
auto ToVector(const Repeated& values) {
  return std::vector<typename Repeated::value_type>(values.begin(), values.end());
}

v1::Counts ToProto(const SiteCounts& counts) {
  v1::Counts out;
  out.mutable_train()->Add(counts.train.begin(), counts.train.end());
  out.mutable_validation()->Add(counts.validation.begin(), counts.validation.end());
  out.mutable_test()->Add(counts.test.begin(), counts.test.end());
  return out;
}

v1::Result ToProto(const EvaluationResult& result) {
  v1::Result out;
  out.set_images(result.images);
  out.set_loss(result.loss);
  for (const auto& [name, value] : result.metrics) (*out.mutable_metrics())[name] = value;
  out.set_bins(result.bins);
  out.mutable_histogram()->Add(result.histogram.begin(), result.histogram.end());
  out.mutable_labels()->Add(result.labels.begin(), result.labels.end());
  out.mutable_probabilities()->Add(result.probabilities.begin(), result.probabilities.end());
  return out;
}

EvaluationResult FromProto(const v1::Result& result) {
  EvaluationResult out;
  out.images = result.images();
  out.loss = result.loss();
  out.metrics.insert(result.metrics().begin(), result.metrics().end());
  out.bins = result.bins();
  out.histogram = ToVector(result.histogram());
  out.labels = ToVector(result.labels());
  out.probabilities = ToVector(result.probabilities());
  return out;
}

}  // namespace

v1::Artifact ToProto(const ArtifactId& artifact) {
  v1::Artifact out;
  out.set_sha256(artifact.sha256);
  out.set_bytes(artifact.bytes);
  return out;
}

ArtifactId FromProto(const v1::Artifact& artifact) { return {artifact.sha256(), artifact.bytes()}; }

v1::Task ToProto(const SiteTask& task) {
  v1::Task out;
  if (const auto* offer = std::get_if<OfferTask>(&task)) {
    out.mutable_offer()->set_run(offer->run);
    out.mutable_offer()->set_config(offer->config);
  } else if (const auto* round = std::get_if<RoundTask>(&task)) {
    auto* to = out.mutable_round();
    to->set_run(round->run);
    to->set_round(round->round);
    to->set_rounds(round->rounds);
    to->mutable_basis()->set_sites(round->basis.sites);
    to->mutable_basis()->set_images(round->basis.images);
    to->mutable_basis()->mutable_per_class()->Add(round->basis.per_class.begin(),
                                                  round->basis.per_class.end());
    to->set_site_index(round->site_index);
    *to->mutable_model() = ToProto(round->model);
    to->set_model_digest(round->model_digest);
    to->set_evaluate(round->evaluate);
    to->set_deadline_ms(round->deadline_ms);
    if (round->amended) *to->mutable_amended() = ToProto(*round->amended);
  } else if (const auto* test = std::get_if<TestTask>(&task)) {
    auto* to = out.mutable_test();
    to->set_run(test->run);
    to->set_round(test->round);
    to->set_trained_by(test->trained_by);
    *to->mutable_model() = ToProto(test->model);
    if (test->amended) *to->mutable_amended() = ToProto(*test->amended);
  } else if (const auto* end = std::get_if<EndTask>(&task)) {
    auto* to = out.mutable_end();
    to->set_run(end->run);
    to->set_state(end->state);
    to->set_why(end->why);
    to->set_round(end->round);
    *to->mutable_model() = ToProto(end->model);
  }
  return out;
}

absl::StatusOr<SiteTask> FromProto(const v1::Task& task) {
  switch (task.task_case()) {
    case v1::Task::kOffer:
      return OfferTask{task.offer().run(), task.offer().config()};
    case v1::Task::kRound: {
      const auto& from = task.round();
      RoundTask out;
      out.run = from.run();
      out.round = from.round();
      out.rounds = from.rounds();
      out.basis = {from.basis().sites(), from.basis().images(), ToVector(from.basis().per_class())};
      out.site_index = from.site_index();
      out.model = FromProto(from.model());
      out.model_digest = from.model_digest();
      out.evaluate = from.evaluate();
      out.deadline_ms = from.deadline_ms();
      if (out.round < 1 || out.rounds < out.round || out.basis.sites < 1 || out.basis.images < 1 ||
          out.site_index < 0) {
        return InvalidArgument(
            "the server asks for round {} of {} with {} images at {} sites, which makes no sense",
            out.round, out.rounds, out.basis.images, out.basis.sites);
      }
      if (from.has_amended()) {
        MANAKO_ASSIGN_OR_RETURN(out.amended, FromProto(from.amended()));
      }
      return out;
    }
    case v1::Task::kTest: {
      TestTask out{task.test().run(), task.test().round(), task.test().trained_by(),
                   FromProto(task.test().model()), std::nullopt};
      if (task.test().has_amended()) {
        MANAKO_ASSIGN_OR_RETURN(out.amended, FromProto(task.test().amended()));
      }
      return out;
    }
    case v1::Task::kEnd:
      return EndTask{task.end().run(), task.end().state(), task.end().why(), task.end().round(),
                     FromProto(task.end().model())};
    case v1::Task::TASK_NOT_SET:
      return Wait{};
  }
  return InvalidArgument(
      "the server asks for something that this version does not know: update the program");
}

v1::AnswerRequest ToProto(const SiteAnswer& answer) {
  v1::AnswerRequest out;
  if (const auto* offer = std::get_if<OfferAnswer>(&answer)) {
    auto* to = out.mutable_offer();
    to->set_run(offer->run);
    to->set_state(offer->state == OfferAnswer::State::kReady ? v1::AnswerRequest::Offer::READY
                  : offer->state == OfferAnswer::State::kRefused
                      ? v1::AnswerRequest::Offer::REFUSED
                      : v1::AnswerRequest::Offer::WAITS_FOR_APPROVAL);
    *to->mutable_counts() = ToProto(offer->counts);
    to->set_why(offer->why);
  } else if (const auto* evaluation = std::get_if<Evaluation>(&answer)) {
    auto* to = out.mutable_evaluation();
    to->set_run(evaluation->run);
    to->set_round(evaluation->round);
    to->set_trained_by(evaluation->trained_by);
    *to->mutable_validation() = ToProto(evaluation->validation);
    *to->mutable_test() = ToProto(evaluation->test);
  } else if (const auto* failure = std::get_if<Failure>(&answer)) {
    auto* to = out.mutable_failure();
    to->set_run(failure->run);
    to->set_round(failure->round);
    to->set_why(failure->why);
    to->set_refused(failure->refused);
  } else if (const auto* end = std::get_if<EndAnswer>(&answer)) {
    out.mutable_end()->set_run(end->run);
    out.mutable_end()->set_model_sha256(end->model_sha256);
  }
  return out;
}

absl::StatusOr<SiteAnswer> FromProto(const v1::AnswerRequest& answer) {
  switch (answer.answer_case()) {
    case v1::AnswerRequest::kOffer: {
      const auto& from = answer.offer();
      OfferAnswer out;
      out.run = from.run();
      out.counts = {ToVector(from.counts().train()), ToVector(from.counts().validation()),
                    ToVector(from.counts().test())};
      out.why = from.why().substr(0, 1000);
      switch (from.state()) {
        case v1::AnswerRequest::Offer::READY:
          out.state = OfferAnswer::State::kReady;
          return out;
        case v1::AnswerRequest::Offer::REFUSED:
          out.state = OfferAnswer::State::kRefused;
          return out;
        case v1::AnswerRequest::Offer::WAITS_FOR_APPROVAL:
          out.state = OfferAnswer::State::kWaitsForApproval;
          return out;
        default:
          return InvalidArgument("the answer to an offer says neither yes nor no");
      }
    }
    case v1::AnswerRequest::kEvaluation: {
      const auto& from = answer.evaluation();
      return Evaluation{from.run(), from.round(), from.trained_by(), FromProto(from.validation()),
                        FromProto(from.test())};
    }
    case v1::AnswerRequest::kFailure:
      return Failure{answer.failure().run(), answer.failure().round(),
                     answer.failure().why().substr(0, 1000), answer.failure().refused()};
    case v1::AnswerRequest::kEnd:
      return EndAnswer{answer.end().run(), answer.end().model_sha256()};
    case v1::AnswerRequest::ANSWER_NOT_SET:
      break;
  }
  return InvalidArgument("an answer without content, or of a kind that this server does not know");
}

v1::Submission ToProto(const Submission& submission) {
  v1::Submission out;
  out.set_run(submission.run);
  out.set_round(submission.round);
  out.set_model_sha256(submission.model_sha256);
  *out.mutable_artifact() = ToProto(submission.artifact);
  out.set_images(submission.images);
  out.set_visits(submission.visits);
  out.set_l2(submission.l2);
  for (const auto& [name, value] : submission.metrics) (*out.mutable_metrics())[name] = value;
  return out;
}

Submission FromProto(const v1::Submission& submission) {
  Submission out;
  out.run = submission.run();
  out.round = submission.round();
  out.model_sha256 = submission.model_sha256();
  out.artifact = FromProto(submission.artifact());
  out.images = submission.images();
  out.visits = submission.visits();
  out.l2 = submission.l2();
  out.metrics.insert(submission.metrics().begin(), submission.metrics().end());
  return out;
}

v1::Receipt ToProto(const Receipt& receipt) {
  v1::Receipt out;
  out.set_state(receipt.state == Receipt::State::kKept   ? v1::Receipt::KEPT
                : receipt.state == Receipt::State::kLate ? v1::Receipt::LATE
                                                         : v1::Receipt::REFUSED);
  out.set_why(receipt.why);
  out.set_run(receipt.run);
  out.set_round(receipt.round);
  out.set_sha256(receipt.sha256);
  out.set_time_ms(receipt.time_ms);
  out.set_log_seq(receipt.log_seq);
  out.set_log_hash(receipt.log_hash);
  return out;
}

absl::StatusOr<Receipt> FromProto(const v1::Receipt& receipt) {
  Receipt out;
  switch (receipt.state()) {
    case v1::Receipt::KEPT:
      out.state = Receipt::State::kKept;
      break;
    case v1::Receipt::LATE:
      out.state = Receipt::State::kLate;
      break;
    case v1::Receipt::REFUSED:
      out.state = Receipt::State::kRefused;
      break;
    default:
      return InvalidArgument("the server's receipt says neither kept nor refused");
  }
  out.why = receipt.why();
  out.run = receipt.run();
  out.round = receipt.round();
  out.sha256 = receipt.sha256();
  out.time_ms = receipt.time_ms();
  out.log_seq = receipt.log_seq();
  out.log_hash = receipt.log_hash();
  return out;
}

v1::Status ToProto(const SiteStatus& status) {
  v1::Status out;
  out.set_phase(status.phase);
  out.set_run(status.run);
  out.set_round(status.round);
  out.set_step(status.step);
  out.set_steps(status.steps);
  out.set_images_per_second(status.images_per_second);
  return out;
}

SiteStatus FromProto(const v1::Status& status) {
  return {
      status.phase().substr(0, 100), status.run(), status.round(), status.step(), status.steps(),
      status.images_per_second()};
}

v1::StatusReply ToProto(const StatusReply& reply) {
  v1::StatusReply out;
  out.set_drop_run(reply.drop_run);
  out.set_why(reply.why);
  out.set_time_ms(reply.time_ms);
  return out;
}

StatusReply FromProto(const v1::StatusReply& reply) {
  return {reply.drop_run(), reply.why(), reply.time_ms()};
}

}  // namespace manako
