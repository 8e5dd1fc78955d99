#include "report/arm_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "report/stats/auc.h"
#include "report/stats/bootstrap.h"
#include "report/stats/multiclass.h"
#include "report/stats/rates.h"

namespace manako {
namespace {

using stats::AucComponents;
using stats::Clusters;
using stats::Estimate;
using stats::Joint;
using stats::kUndefined;
using stats::Measured;
using stats::PatientCounts;
using stats::Tally;

enum class Design { kOneCell, kSameImages, kOtherImages };

Design DesignOf(std::span<const ArmCell* const> cells) {
  if (cells.size() <= 1) return Design::kOneCell;
  const bool same = std::all_of(cells.begin(), cells.end(), [&](const ArmCell* cell) {
    return cell->models[0].test->image == cells[0]->models[0].test->image;
  });
  return same ? Design::kSameImages : Design::kOtherImages;
}

std::vector<const ArmCell*> Pointers(std::span<const ArmCell> cells) {
  std::vector<const ArmCell*> pointers;
  for (const ArmCell& cell : cells) pointers.push_back(&cell);
  return pointers;
}

Clusters PatientsOf(const ModelPredictions& test) {
  return Clusters::From(std::vector<int64_t>(test.patient.begin(), test.patient.end()));
}

std::vector<uint8_t> PositivesOf(const ModelPredictions& test, int positive) {
  std::vector<uint8_t> flags;
  for (const int32_t label : test.label) flags.push_back(label == positive);
  return flags;
}

AucComponents ComponentsOf(const ClassTask& task, const ArmModel& model) {
  std::vector<double> scores;
  for (size_t i = 0; i < model.test->size(); ++i) {
    scores.push_back(model.test->probability[i * task.classes + task.positive]);
  }
  return stats::ComputeAuc(scores, PositivesOf(*model.test, task.positive));
}

double CellAuc(const ClassTask& task, const ArmCell& cell) {
  double sum = 0;
  for (const ArmModel& model : cell.models) sum += ModelAuc(task, model);
  return sum / static_cast<double>(cell.models.size());
}

// The AUCs of several cells (of one or two arms) on the same test images, jointly.
struct JointAucs {
  Joint joint{};
  stats::BootstrapResult bootstrap{};  // of several classes only
  bool clustered = false;
};

JointAucs JointAucsOf(const ClassTask& task, std::span<const ArmCell* const> cells) {
  const ModelPredictions& test = *cells[0]->models[0].test;
  const Clusters patients = PatientsOf(test);
  JointAucs result{.clustered = patients.Clustered()};
  if (task.binary()) {
    std::vector<AucComponents> arms;
    for (const ArmCell* cell : cells) {
      std::vector<AucComponents> models;
      for (const ArmModel& model : cell->models) models.push_back(ComponentsOf(task, model));
      arms.push_back(stats::MeanOf(models));
    }
    result.joint = stats::AucCovariance(arms, PositivesOf(test, task.positive), patients);
    return result;
  }
  std::vector<std::vector<stats::WeightedMacroAuc>> arms;
  for (const ArmCell* cell : cells) {
    arms.emplace_back();
    for (const ArmModel& model : cell->models) {
      arms.back().emplace_back(model.test->probability, model.test->label, task.classes, patients);
    }
  }
  result.bootstrap = stats::Bootstrap(patients.count, [&](std::span<const uint32_t> weight) {
    std::vector<double> values;
    for (const auto& models : arms) {
      double sum = 0;
      for (const auto& model : models) sum += model(weight);
      values.push_back(sum / static_cast<double>(models.size()));
    }
    return values;
  });
  result.joint = stats::BootstrapCovariance(result.bootstrap);
  return result;
}

// Patients with and without the positive class; of several classes, of the rarest, which says
// least.
PatientCounts CountPatients(const ClassTask& task, std::span<const ArmCell* const> cells) {
  std::map<int32_t, std::vector<uint8_t>> classes_of_patient;
  for (const ArmCell* cell : cells) {
    const ModelPredictions& test = *cell->models[0].test;
    for (size_t i = 0; i < test.size(); ++i) {
      auto& has = classes_of_patient[test.patient[i]];
      has.resize(task.classes, 0);
      has[test.label[i]] = 1;
    }
  }
  PatientCounts fewest;
  for (int c = 0; c < task.classes; ++c) {
    if (task.binary() && c != task.positive) continue;
    PatientCounts counts;
    for (const auto& [patient, has] : classes_of_patient) {
      counts.positive += has[c];
      counts.negative += std::accumulate(has.begin(), has.end(), 0) > has[c];
    }
    if (c == 0 || task.binary() || counts.positive < fewest.positive) fewest = counts;
  }
  return fewest;
}

// The mean ratio of test to training images.
double MeanRatio(std::span<const ArmCell* const> cells) {
  double sum = 0;
  for (const ArmCell* cell : cells) sum += cell->test_over_train;
  return sum / static_cast<double>(cells.size());
}

Measured StandardError(const Joint& joint) { return stats::ObuchowskiRocketteMean(joint); }

// What one image adds to a metric.
struct Contribution {
  double hits, trials;
};
using Rule = std::function<Contribution(const ArmModel&, size_t image)>;

// Sums by patient over the models of the cells; patients in rising order of their number.
std::vector<Tally> Tallies(std::span<const ArmCell* const> cells, const Rule& rule) {
  std::map<int32_t, Tally> by_patient;
  for (const ArmCell* cell : cells) {
    for (const ArmModel& model : cell->models) {
      for (size_t i = 0; i < model.test->size(); ++i) {
        const Contribution c = rule(model, i);
        Tally& tally = by_patient[model.test->patient[i]];
        tally.hits += c.hits;
        tally.trials += c.trials;
      }
    }
  }
  std::vector<Tally> tallies;
  for (const auto& [patient, tally] : by_patient) tallies.push_back(tally);
  return tallies;
}

Joint RepeatsJoint(std::span<const ArmCell* const> cells, const Rule& rule) {
  std::vector<std::vector<Tally>> repeats;
  for (const ArmCell* const& cell : cells) repeats.push_back(Tallies({&cell, 1}, rule));
  return stats::RateCovariance(repeats);
}

Estimate Rate(std::span<const ArmCell* const> cells, const Rule& rule) {
  const Estimate pooled = stats::RateInterval(Tallies(cells, rule));
  if (DesignOf(cells) != Design::kSameImages) return pooled;
  const Measured mean = StandardError(RepeatsJoint(cells, rule));
  Estimate estimate = stats::WilsonFromError(mean, 0.95);
  // Without variance (all right in every repeat) the patients' number alone decides.
  if (std::isnan(estimate.low)) return pooled;
  estimate.method = "obuchowski_rockette";
  return estimate;
}

// A mean over images that is no proportion (Brier).
Estimate MeanScore(std::span<const ArmCell* const> cells, const Rule& rule, double most) {
  if (DesignOf(cells) == Design::kSameImages) {
    Estimate estimate =
        stats::PlainInterval(StandardError(RepeatsJoint(cells, rule)), 0.95, 0, most);
    estimate.method = "obuchowski_rockette";
    return estimate;
  }
  const std::vector<Tally> patients = Tallies(cells, rule);
  const auto result = stats::Bootstrap(static_cast<int32_t>(patients.size()),
                                       [&](std::span<const uint32_t> weight) {
                                         double hits = 0, trials = 0;
                                         for (size_t i = 0; i < patients.size(); ++i) {
                                           hits += weight[i] * patients[i].hits;
                                           trials += weight[i] * patients[i].trials;
                                         }
                                         return std::vector<double>{hits / trials};
                                       });
  return stats::PercentileInterval(result, 0);
}

// Each patient's decisions as indices into the flattened confusion matrix.
std::vector<std::vector<int32_t>> DecisionsByPatient(const ClassTask& task,
                                                     std::span<const ArmCell* const> cells) {
  std::map<int32_t, std::vector<int32_t>> by_patient;
  for (const ArmCell* cell : cells) {
    for (const ArmModel& model : cell->models) {
      for (size_t i = 0; i < model.test->size(); ++i) {
        by_patient[model.test->patient[i]].push_back(model.test->label[i] * task.classes +
                                                     model.predicted[i]);
      }
    }
  }
  std::vector<std::vector<int32_t>> decisions;
  for (auto& [patient, list] : by_patient) decisions.push_back(std::move(list));
  return decisions;
}

double WeightedKappa(const ClassTask& task, const std::vector<std::vector<int32_t>>& decisions,
                     std::span<const uint32_t> weight) {
  std::vector<std::vector<double>> counts(task.classes, std::vector<double>(task.classes, 0));
  for (size_t i = 0; i < decisions.size(); ++i) {
    if (weight[i] == 0) continue;
    for (const int32_t at : decisions[i]) counts[at / task.classes][at % task.classes] += weight[i];
  }
  return stats::QuadraticKappa(counts);
}

Estimate Kappa(const ClassTask& task, std::span<const ArmCell* const> cells) {
  const bool same_images = DesignOf(cells) == Design::kSameImages;
  std::vector<std::vector<std::vector<int32_t>>> samples;
  if (same_images) {
    for (const ArmCell* const& cell : cells)
      samples.push_back(DecisionsByPatient(task, {&cell, 1}));
  } else {
    samples.push_back(DecisionsByPatient(task, cells));
  }
  const auto result = stats::Bootstrap(static_cast<int32_t>(samples[0].size()),
                                       [&](std::span<const uint32_t> weight) {
                                         std::vector<double> values;
                                         for (const auto& decisions : samples) {
                                           values.push_back(WeightedKappa(task, decisions, weight));
                                         }
                                         return values;
                                       });
  if (!same_images) return stats::PercentileInterval(result, 0);
  Estimate estimate =
      stats::PlainInterval(StandardError(stats::BootstrapCovariance(result)), 0.95, -1, 1);
  estimate.method = "obuchowski_rockette";
  return estimate;
}

// Of the images that `of` picks, the share that `is` picks.
template <typename Of, typename Is>
Rule Share(Of of, Is is) {
  return [of, is](const ArmModel& model, size_t i) {
    const int32_t truth = model.test->label[i], decided = model.predicted[i];
    const bool counts = of(truth, decided);
    return Contribution{counts && is(truth, decided) ? 1.0 : 0.0, counts ? 1.0 : 0.0};
  };
}

constexpr auto kRight = [](int32_t truth, int32_t decided) { return truth == decided; };
constexpr auto kAny = [](int32_t, int32_t) { return true; };

Rule Recall(int c) {
  return Share([c](int32_t truth, int32_t) { return truth == c; }, kRight);
}

Rule PredictiveValue(int c) {
  return Share([c](int32_t, int32_t decided) { return decided == c; }, kRight);
}

Rule BrierScore(const ClassTask& task) {
  return [task](const ArmModel& model, size_t i) {
    const float* p = &model.test->probability[i * task.classes];
    double loss = 0;
    for (int c = 0; c < task.classes; ++c) {
      if (task.binary() && c != task.positive) continue;
      const double apart = p[c] - (model.test->label[i] == c ? 1.0 : 0.0);
      loss += apart * apart;
    }
    return Contribution{loss, 1};
  };
}

// One or two arms' cells without those where an AUC is undefined.
std::vector<const ArmCell*> DefinedCells(const ClassTask& task, std::span<const ArmCell> cells) {
  std::vector<const ArmCell*> defined;
  for (const ArmCell& cell : cells) {
    if (!std::isnan(CellAuc(task, cell))) defined.push_back(&cell);
  }
  return defined;
}

}  // namespace

double ModelAuc(const ClassTask& task, const ArmModel& model) {
  if (task.binary()) return ComponentsOf(task, model).auc;
  const Clusters singles = Clusters::Singles(model.test->size());
  const stats::WeightedMacroAuc macro(model.test->probability, model.test->label, task.classes,
                                      singles);
  return macro(std::vector<uint32_t>(model.test->size(), 1));
}

Estimate ArmAuc(const ClassTask& task, std::span<const ArmCell> all_cells, double level) {
  const std::vector<const ArmCell*> cells = DefinedCells(task, all_cells);
  if (cells.empty()) return {};
  const PatientCounts patients = CountPatients(task, cells);
  const Design design = DesignOf(cells);
  if (design == Design::kOtherImages) {
    std::vector<double> values;
    for (const ArmCell* cell : cells) values.push_back(CellAuc(task, *cell));
    const Measured mean = stats::CorrectedResampledT(values, MeanRatio(cells));
    return stats::AucInterval(mean, patients, "corrected_t", level);
  }
  const JointAucs aucs = JointAucsOf(task, cells);
  const Measured mean = StandardError(aucs.joint);
  if (design == Design::kSameImages) {
    return stats::AucInterval(mean, patients, "obuchowski_rockette", level);
  }
  if (!task.binary() && mean.value > 0 && mean.value < 1) {
    return stats::PercentileInterval(aucs.bootstrap, 0, {}, level);
  }
  return stats::AucInterval(mean, patients, aucs.clustered ? "delong_clustered" : "delong", level);
}

ArmDifference CompareArms(const ClassTask& task, std::span<const ArmCell> a,
                          std::span<const ArmCell> b, double margin) {
  ArmDifference result;
  std::vector<const ArmCell*> of_a, of_b;
  std::vector<ArmCell> defined_a, defined_b;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(CellAuc(task, a[i])) || std::isnan(CellAuc(task, b[i]))) continue;
    of_a.push_back(&a[i]);
    of_b.push_back(&b[i]);
    defined_a.push_back(a[i]);
    defined_b.push_back(b[i]);
  }
  if (of_a.empty()) return result;
  const Design design = DesignOf(of_a);
  Measured difference;
  if (design == Design::kOtherImages) {
    std::vector<double> values;
    for (size_t i = 0; i < of_a.size(); ++i) {
      values.push_back(CellAuc(task, *of_a[i]) - CellAuc(task, *of_b[i]));
    }
    difference = stats::CorrectedResampledT(values, MeanRatio(of_a));
    result.test = "corrected_t";
  } else {
    std::vector<const ArmCell*> both = of_a;
    both.insert(both.end(), of_b.begin(), of_b.end());
    const JointAucs aucs = JointAucsOf(task, both);
    difference = stats::ObuchowskiRocketteDifference(aucs.joint);
    result.test = design == Design::kSameImages ? "obuchowski_rockette"
                  : !task.binary()              ? "bootstrap_paired"
                  : aucs.clustered              ? "delong_paired_clustered"
                                                : "delong_paired";
  }
  // No variance is knowledge only where both rank every image alike and not all rightly; otherwise
  // it is ignorance.
  const double se = difference.standard_error;
  const double auc = CellAuc(task, *of_a[0]);
  const bool alike = se == 0 && difference.value == 0 && auc > 0 && auc < 1;
  if (std::isnan(se) || (se == 0 && !alike)) {
    const auto between = [&](double level) {
      return stats::DifferenceOfEstimates(ArmAuc(task, defined_a, level),
                                          ArmAuc(task, defined_b, level));
    };
    result.estimate = between(0.95);
    result.at90 = between(0.90);
    result.test.clear();
    return result;
  }
  result.estimate = stats::PlainInterval(difference, 0.95, -1, 1);
  result.at90 = stats::PlainInterval(difference, 0.90, -1, 1);
  result.estimate.method = result.at90.method = result.test;
  result.p_value = stats::PValue(difference);
  result.tost_p_value = stats::TostPValue(difference, margin);
  return result;
}

Estimate ArmAccuracy(const ClassTask& task, std::span<const ArmCell> cells) {
  if (cells.empty()) return {};
  return Rate(Pointers(cells), Share(kAny, kRight));
}

std::vector<std::pair<std::string, Estimate>> ArmMetrics(const ClassTask& task,
                                                         std::span<const ArmCell> all_cells,
                                                         std::span<const std::string> class_names) {
  std::vector<std::pair<std::string, Estimate>> metrics;
  if (all_cells.empty()) return metrics;
  const std::vector<const ArmCell*> cells = Pointers(all_cells);
  const Estimate accuracy = Rate(cells, Share(kAny, kRight));
  std::vector<Estimate> recalls;
  for (int c = 0; c < task.classes; ++c) recalls.push_back(Rate(cells, Recall(c)));
  const Estimate balanced = stats::MeanOfRates(recalls);
  if (task.binary()) {
    const int negative = 1 - task.positive;
    metrics.emplace_back("sensitivity", recalls[task.positive]);
    metrics.emplace_back("specificity", recalls[negative]);
    metrics.emplace_back("accuracy", accuracy);
    metrics.emplace_back("balanced_accuracy", balanced);
    metrics.emplace_back("ppv", Rate(cells, PredictiveValue(task.positive)));
    metrics.emplace_back("npv", Rate(cells, PredictiveValue(negative)));
    metrics.emplace_back("brier", MeanScore(cells, BrierScore(task), 1));
    return metrics;
  }
  metrics.emplace_back("accuracy", accuracy);
  metrics.emplace_back("balanced_accuracy", balanced);
  metrics.emplace_back("quadratic_kappa", Kappa(task, cells));
  metrics.emplace_back("brier", MeanScore(cells, BrierScore(task), 2));
  for (int c = 0; c < task.classes; ++c)
    metrics.emplace_back("recall:" + class_names[c], recalls[c]);
  return metrics;
}

std::vector<stats::CalibrationBin> ArmCalibration(const ClassTask& task,
                                                  std::span<const ArmCell> cells) {
  std::vector<double> probability;
  std::vector<uint8_t> outcome;
  std::vector<int64_t> patient;
  for (const ArmCell& cell : cells) {
    for (const ArmModel& model : cell.models) {
      for (size_t i = 0; i < model.test->size(); ++i) {
        const int32_t asked = task.binary() ? task.positive : model.predicted[i];
        probability.push_back(model.test->probability[i * task.classes + asked]);
        outcome.push_back(model.test->label[i] == asked);
        patient.push_back(model.test->patient[i]);
      }
    }
  }
  return stats::CalibrationCurve(probability, outcome, Clusters::From(patient));
}

std::vector<std::vector<int64_t>> ArmConfusion(const ClassTask& task,
                                               std::span<const ArmCell> cells) {
  std::vector<std::vector<int64_t>> counts(task.classes, std::vector<int64_t>(task.classes, 0));
  for (const ArmCell& cell : cells) {
    for (const ArmModel& model : cell.models) {
      for (size_t i = 0; i < model.test->size(); ++i) {
        ++counts[model.test->label[i]][model.predicted[i]];
      }
    }
  }
  return counts;
}

}  // namespace manako
