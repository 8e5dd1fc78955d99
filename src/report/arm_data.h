// The journal and the predictions of a run put in order for the statistics: for each arm, the
// complete cells, and in them each model with its test predictions, threshold and decisions.
#ifndef MANAKO_REPORT_ARM_DATA_H_
#define MANAKO_REPORT_ARM_DATA_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "report/journal.h"
#include "report/predictions.h"

namespace manako {

// Binary (one class is the positive one, decisions by threshold) or several classes (decisions by
// the largest probability, of equals the first).
struct ClassTask {
  int classes = 0;
  int positive = -1;  // index of the positive class; < 0: several classes
  bool binary() const { return positive >= 0; }
};

struct ArmModel {
  ModelName name;
  std::shared_ptr<const ModelPredictions> test;
  double threshold =
      0.5;  // binary: Youden's on the model's validation predictions; positive is p >= threshold
  bool threshold_chosen = false;     // false: validation could not tell, and it is 0.5
  std::vector<int32_t> predicted{};  // class decided for each test image
};

// One repeat and fold, with every model of the arm, all on the same test images.
struct ArmCell {
  int repeat = 1;
  int fold = 1;
  double test_over_train =
      0;  // images; NaN where the journal does not say how many were for training
  std::vector<ArmModel> models{};
};

struct ArmData {
  std::string name;
  std::vector<ArmCell> cells{};  // complete ones only, in order
  std::vector<std::pair<int, int>>
      missing{};  // (repeat, fold) of cells without (all of) their predictions
};

// Arms that have any trace in the journal or the predictions, in the order pooled, federated,
// alone. A model whose probabilities are not all numbers from 0 to 1 counts as missing. What
// belongs to the training set of a cell is `train` of its splits; without the validation images,
// which is the cautious side for the corrected t interval.
std::vector<ArmData> GatherArms(const ClassTask& task, const RunJournal& journal,
                                const RunPredictions& predictions);

// The same cells with only the test images of a site; of the arm "alone", that site's own models
// only. Cells in which the site has no test image (or no model) are left out.
std::vector<ArmCell> OnlySite(const ClassTask& task, std::span<const ArmCell> cells,
                              int32_t site_number, const std::string& site_name);

}  // namespace manako

#endif  // MANAKO_REPORT_ARM_DATA_H_
