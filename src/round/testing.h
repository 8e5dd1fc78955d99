// Small models and updates for the tests of this folder.
#ifndef MANAKO_ROUND_TESTING_H_
#define MANAKO_ROUND_TESTING_H_

#include <initializer_list>
#include <memory>
#include <utility>

#include "core/learner.h"

namespace manako {

inline std::shared_ptr<const ModelSpec> TinySpec() {
  static const auto spec = std::make_shared<ModelSpec>(
      *ModelSpec::Create({{"w", {2}, TensorKind::kParameter}, {"mean", {1}, TensorKind::kBuffer}}));
  return spec;
}

// w = {a, b}, mean = {c}.
inline std::shared_ptr<const ParameterSet> Shared(ParameterSet model) {
  return std::make_shared<const ParameterSet>(std::move(model));
}

inline ParameterSet TinyModel(float a, float b, float c) {
  ParameterSet model = ParameterSet::Zero(TinySpec());
  model.Tensor(*model.spec->Find("w"))[0] = a;
  model.Tensor(*model.spec->Find("w"))[1] = b;
  model.Tensor(*model.spec->Find("mean"))[0] = c;
  return model;
}

inline Update TinyUpdate(ParameterSet model, int64_t images) {
  Update update;
  update.model = std::move(model);
  update.images = images;
  return update;
}

}  // namespace manako

#endif  // MANAKO_ROUND_TESTING_H_
