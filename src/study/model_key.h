// The names of things in a study.
#ifndef MANAKO_STUDY_MODEL_KEY_H_
#define MANAKO_STUDY_MODEL_KEY_H_

#include <string>

namespace manako {

// One trained model: its cell (repeat and fold, from 1), its arm ("pooled", "federated", "alone"),
// and for the arm "alone" its site.
struct ModelKey {
  int repeat = 1, fold = 1;
  std::string arm, site;
  auto operator<=>(const ModelKey&) const = default;
  // "r1-f1-pooled", "r1-f1-alone-2": a file name. `site_index` from 1.
  std::string FileName(int site_index) const;
};

}  // namespace manako

#endif  // MANAKO_STUDY_MODEL_KEY_H_
