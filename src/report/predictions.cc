#include "report/predictions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <unordered_map>

#include "base/csv.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr std::array<std::string_view, 9> kColumns = {
    "repeat", "fold", "arm", "site", "split", "file", "patient", "image_site", "label"};
constexpr size_t kMaxImages = size_t{1} << 30;  // numbers of images fit an int32

// Numbers names in the order in which they first appear.
class Names {
 public:
  int32_t operator()(const std::string& name) {
    return numbers_.emplace(name, static_cast<int32_t>(numbers_.size())).first->second;
  }
  std::vector<std::string> InOrder() const {
    std::vector<std::string> names(numbers_.size());
    for (const auto& [name, number] : numbers_) names[number] = name;
    return names;
  }
  size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<std::string, int32_t> numbers_;
};

struct Gathered {
  ModelPredictions rows;
  std::unordered_map<int32_t, size_t> row_of_image;
};

absl::StatusOr<int> ParseOrdinal(const std::string& text, const char* what, int64_t line) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > 1000000) {
    return DataLoss("line {}: {} must be a number from 1, but is '{}'", line, what, text);
  }
  return value;
}

std::shared_ptr<const ModelPredictions> Sorted(const ModelPredictions& rows, size_t classes) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return rows.image[a] < rows.image[b]; });
  auto sorted = std::make_shared<ModelPredictions>();
  sorted->finite = rows.finite;
  for (const size_t i : order) {
    sorted->image.push_back(rows.image[i]);
    sorted->patient.push_back(rows.patient[i]);
    sorted->label.push_back(rows.label[i]);
    sorted->image_site.push_back(rows.image_site[i]);
    sorted->probability.insert(sorted->probability.end(), rows.probability.begin() + i * classes,
                               rows.probability.begin() + (i + 1) * classes);
  }
  return sorted;
}

}  // namespace

absl::StatusOr<RunPredictions> ParsePredictions(std::string_view text) {
  RunPredictions predictions;
  CsvReader reader(text);
  std::vector<std::string> fields;
  MANAKO_ASSIGN_OR_RETURN(const bool has_header, reader.Next(fields));
  if (!has_header) {
    predictions.torn = reader.torn();
    return predictions;
  }
  for (size_t c = 0; c < kColumns.size(); ++c) {
    if (c >= fields.size() || fields[c] != kColumns[c]) {
      return DataLoss("line 1: column {} must be '{}', but is '{}'", c + 1, kColumns[c],
                      c < fields.size() ? fields[c] : "");
    }
  }
  std::unordered_map<std::string, int32_t> class_of;
  for (size_t c = kColumns.size(); c < fields.size(); ++c) {
    if (fields[c].rfind("p_", 0) != 0) {
      return DataLoss("line 1: column {} must be p_<class>, but is '{}'", c + 1, fields[c]);
    }
    predictions.classes.push_back(fields[c].substr(2));
    if (!class_of.emplace(predictions.classes.back(), predictions.classes.size() - 1).second) {
      return DataLoss("line 1: class '{}' stands twice", predictions.classes.back());
    }
  }
  const size_t classes = predictions.classes.size();
  if (classes < 2)
    return DataLoss("line 1: there must be at least two classes, but there are {}", classes);

  Names images, patients, sites;
  std::vector<int32_t> label_of_image, patient_of_image;
  std::map<ModelName, Gathered> by_split[2];  // validation, test
  for (;;) {
    MANAKO_ASSIGN_OR_RETURN(const bool more, reader.Next(fields));
    if (!more) break;
    const int64_t line = reader.line();
    if (fields.size() != kColumns.size() + classes) {
      return DataLoss("line {}: there must be {} fields, but there are {}", line,
                      kColumns.size() + classes, fields.size());
    }
    ModelName name;
    MANAKO_ASSIGN_OR_RETURN(name.repeat, ParseOrdinal(fields[0], "repeat", line));
    MANAKO_ASSIGN_OR_RETURN(name.fold, ParseOrdinal(fields[1], "fold", line));
    name.arm = fields[2];
    name.site = fields[3];
    const bool is_test = fields[4] == "test";
    if (!is_test && fields[4] != "validation") {
      return DataLoss("line {}: split must be validation or test, but is '{}'", line, fields[4]);
    }
    const auto label = class_of.find(fields[8]);
    if (label == class_of.end())
      return DataLoss("line {}: no class is called '{}'", line, fields[8]);
    const int32_t image = images(fields[5]), patient = patients(fields[6]);
    if (images.size() > kMaxImages) return DataLoss("line {}: too many images", line);
    if (static_cast<size_t>(image) == label_of_image.size()) {
      label_of_image.push_back(label->second);
      patient_of_image.push_back(patient);
    } else if (label_of_image[image] != label->second || patient_of_image[image] != patient) {
      return DataLoss("line {}: class and patient of '{}' differ from an earlier line", line,
                      fields[5]);
    }

    Gathered& gathered = by_split[is_test][std::move(name)];
    ModelPredictions& rows = gathered.rows;
    const auto [at, is_new] = gathered.row_of_image.emplace(image, rows.size());
    const size_t row = at->second;
    if (is_new) {
      rows.image.push_back(image);
      rows.patient.push_back(patient);
      rows.label.push_back(label->second);
      rows.image_site.push_back(0);
      rows.probability.resize(rows.probability.size() + classes);
    }
    rows.image_site[row] = sites(fields[7]);
    for (size_t c = 0; c < classes; ++c) {
      const std::string& field = fields[kColumns.size() + c];
      double p = 0;
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), p);
      if (error == std::errc::invalid_argument || end != field.data() + field.size()) {
        return DataLoss("line {}: p_{} must be a number, but is '{}'", line, predictions.classes[c],
                        field);
      }
      // Softmax in float32 may round to a little above one.
      if (error != std::errc() || !(p >= 0 && p <= 1.001)) {
        rows.finite = false;
        p = 0;
      }
      rows.probability[row * classes + c] = static_cast<float>(std::min(p, 1.0));
    }
  }
  predictions.torn = reader.torn();
  predictions.files = images.InOrder();
  predictions.sites = sites.InOrder();
  for (const auto& [name, gathered] : by_split[0]) {
    predictions.validation[name] = Sorted(gathered.rows, classes);
  }
  for (const auto& [name, gathered] : by_split[1]) {
    predictions.test[name] = Sorted(gathered.rows, classes);
  }
  return predictions;
}

}  // namespace manako
