#include "report/arm_data.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "report/stats/roc.h"

namespace manako {
namespace {

double TestOverTrain(const RunJournal& journal, std::pair<int, int> cell, size_t test_images) {
  const auto found = journal.cells.find(cell);
  if (found == journal.cells.end()) return stats::kUndefined;
  for (const RunJournal::Split& split : found->second.splits) {
    if (split.name != "train") continue;
    const double images = std::accumulate(split.per_class.begin(), split.per_class.end(), 0.0);
    if (images > 0) return static_cast<double>(test_images) / images;
  }
  return stats::kUndefined;
}

void ChooseThreshold(const ClassTask& task, const ModelPredictions& validation, ArmModel& model) {
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (size_t i = 0; i < validation.size(); ++i) {
    scores.push_back(validation.probability[i * task.classes + task.positive]);
    positive.push_back(validation.label[i] == task.positive);
  }
  const double threshold = stats::YoudenThreshold(scores, positive);
  if (std::isnan(threshold)) return;
  model.threshold = threshold;
  model.threshold_chosen = true;
}

void Decide(const ClassTask& task, ArmModel& model) {
  model.predicted.clear();
  for (size_t i = 0; i < model.test->size(); ++i) {
    const float* p = &model.test->probability[i * task.classes];
    if (task.binary()) {
      const bool is_positive = p[task.positive] >= model.threshold;
      model.predicted.push_back(is_positive ? task.positive : 1 - task.positive);
    } else {
      model.predicted.push_back(static_cast<int32_t>(std::max_element(p, p + task.classes) - p));
    }
  }
}

// The names of the models that the arm must have in the cell.
std::vector<ModelName> Expected(const std::string& arm, std::pair<int, int> cell,
                                const RunJournal& journal, const RunPredictions& predictions) {
  if (arm != "alone") return {{cell.first, cell.second, arm, ""}};
  std::set<std::string> sites;
  if (const auto found = journal.cells.find(cell); found != journal.cells.end()) {
    for (const RunJournal::Site& site : found->second.sites) sites.insert(site.name);
  }
  for (const auto& [name, test] : predictions.test) {
    if (name.arm == arm && std::pair(name.repeat, name.fold) == cell) sites.insert(name.site);
  }
  std::vector<ModelName> names;
  for (const std::string& site : sites) names.push_back({cell.first, cell.second, arm, site});
  return names;
}

}  // namespace

std::vector<ArmData> GatherArms(const ClassTask& task, const RunJournal& journal,
                                const RunPredictions& predictions) {
  std::set<std::pair<int, int>> cells;
  std::set<std::string> names;
  const auto see = [&](const ModelName& name) {
    cells.emplace(name.repeat, name.fold);
    names.insert(name.arm);
  };
  for (const auto& [cell, started] : journal.cells) cells.insert(cell);
  for (const auto& [name, rounds] : journal.rounds) see(name);
  for (const auto& [name, finish] : journal.finished) see(name);
  for (const auto& [name, test] : predictions.test) see(name);

  std::vector<ArmData> arms;
  for (const char* arm_name : {"pooled", "federated", "alone"}) {
    if (names.count(arm_name) == 0) continue;
    ArmData arm{.name = arm_name};
    for (const std::pair<int, int>& cell : cells) {
      ArmCell complete{.repeat = cell.first, .fold = cell.second};
      bool all = true;
      for (const ModelName& name : Expected(arm_name, cell, journal, predictions)) {
        const auto test = predictions.test.find(name);
        if (test == predictions.test.end() || !test->second->finite ||
            (!complete.models.empty() && complete.models[0].test->image != test->second->image)) {
          all = false;
          break;
        }
        ArmModel model{.name = name, .test = test->second};
        const auto validation = predictions.validation.find(name);
        if (task.binary() && validation != predictions.validation.end()) {
          ChooseThreshold(task, *validation->second, model);
        }
        Decide(task, model);
        complete.models.push_back(std::move(model));
      }
      if (!all || complete.models.empty()) {
        arm.missing.push_back(cell);
        continue;
      }
      complete.test_over_train = TestOverTrain(journal, cell, complete.models[0].test->size());
      arm.cells.push_back(std::move(complete));
    }
    arms.push_back(std::move(arm));
  }
  return arms;
}

std::vector<ArmCell> OnlySite(const ClassTask& task, std::span<const ArmCell> cells,
                              int32_t site_number, const std::string& site_name) {
  std::vector<ArmCell> filtered;
  for (const ArmCell& cell : cells) {
    ArmCell kept{.repeat = cell.repeat, .fold = cell.fold, .test_over_train = cell.test_over_train};
    for (const ArmModel& model : cell.models) {
      if (model.name.arm == "alone" && model.name.site != site_name) continue;
      auto test = std::make_shared<ModelPredictions>();
      const ModelPredictions& from = *model.test;
      for (size_t i = 0; i < from.size(); ++i) {
        if (from.image_site[i] != site_number) continue;
        test->image.push_back(from.image[i]);
        test->patient.push_back(from.patient[i]);
        test->label.push_back(from.label[i]);
        test->image_site.push_back(from.image_site[i]);
        test->probability.insert(test->probability.end(),
                                 from.probability.begin() + i * task.classes,
                                 from.probability.begin() + (i + 1) * task.classes);
      }
      if (test->size() == 0) continue;
      ArmModel part = model;
      part.test = std::move(test);
      Decide(task, part);
      kept.models.push_back(std::move(part));
    }
    if (!kept.models.empty()) filtered.push_back(std::move(kept));
  }
  return filtered;
}

}  // namespace manako
