#include "study/model_key.h"

#include <fmt/format.h>

namespace manako {

std::string ModelKey::FileName(int site_index) const {
  return site.empty() ? fmt::format("r{}-f{}-{}", repeat, fold, arm)
                      : fmt::format("r{}-f{}-{}-{}", repeat, fold, arm, site_index);
}

}  // namespace manako
