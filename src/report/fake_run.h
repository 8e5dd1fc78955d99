// A run folder made up for tests: a journal and predictions whose numbers follow from a seed.
#ifndef MANAKO_REPORT_FAKE_RUN_H_
#define MANAKO_REPORT_FAKE_RUN_H_

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder.h"

namespace manako {

struct FakeImage {
  std::string file;
  std::string patient;
  std::string site;
  int label = 0;
  uint64_t number = 0;  // what makes an image easy or hard, the same for every model
};

class FakeRun {
 public:
  explicit FakeRun(std::vector<std::string> classes, nlohmann::json positive = nullptr)
      : classes_(std::move(classes)) {
    data_ = {{"source", "/data/eyes/"}, {"classes", classes_}, {"positive", positive},
             {"synthetic", true},       {"images", 500},       {"patients", 400},
             {"test_given", true}};
    csv_ = "repeat,fold,arm,site,split,file,patient,image_site,label";
    for (const std::string& name : classes_) csv_ += "," + Quoted("p_" + name);
    csv_ += "\n";
  }

  const std::string& folder() const { return folder_.path(); }
  std::string& csv() { return csv_; }
  nlohmann::json& data() { return data_; }  // of data_loaded, until Start()
  std::string& journal() { return journal_; }
  const std::vector<std::string>& classes() const { return classes_; }

  void Event(nlohmann::json event) {
    event["time"] = 1790000000.5 + static_cast<double>(events_++);
    journal_ += event.dump() + "\n";
  }
  void Start(const std::string& toml) {
    Event({{"event", "run_started"},
           {"version", "0.1.0"},
           {"config", toml},
           {"machine", "a machine"},
           {"threads", 2},
           {"precision", "float32"},
           {"device", "cpu"}});
    Event({{"event", "data_loaded"}, {"seconds", 1.5}, {"data", data_}});
  }
  void Cell(int repeat, int fold, int train_per_class, const std::vector<std::string>& sites) {
    const std::vector<int> train(classes_.size(), train_per_class);
    nlohmann::json listed = nlohmann::json::array();
    for (const std::string& site : sites) {
      listed.push_back({{"name", site}, {"train", train}, {"validation", train}, {"test", train}});
    }
    Event({{"event", "cell_started"},
           {"repeat", repeat},
           {"fold", fold},
           {"seed", fmt::format("{}", 18446744073709551000ull + repeat)},
           {"splits", {{{"name", "train"}, {"per_class", train}, {"patients", 80}}}},
           {"sites", listed}});
  }
  void Rounds(int repeat, int fold, const std::string& arm, const std::string& site, int rounds) {
    for (int r = 0; r <= rounds; ++r) {
      Event({{"event", "round"},
             {"repeat", repeat},
             {"fold", fold},
             {"arm", arm},
             {"site", site},
             {"round", r},
             {"train_loss", r == 0 ? nlohmann::json() : nlohmann::json(1.0 / r)},
             {"validation_auc", 0.5 + 0.1 * (r % 3)},
             {"validation_loss", 0.5},
             {"test_auc", 0.7},
             {"images", r == 0 ? 0 : 100},
             {"seconds", r == 0 ? 0 : 2}});
    }
    Event({{"event", "model_finished"},
           {"repeat", repeat},
           {"fold", fold},
           {"arm", arm},
           {"site", site},
           {"best_round", 2},
           {"seconds", 9}});
  }
  void Finish() { Event({{"event", "run_finished"}, {"seconds", 77}}); }

  // `images` images, classes in turn, sites in turn, `per_patient` neighbouring images of one class
  // a patient.
  std::vector<FakeImage> Images(const std::string& prefix, int images, int per_patient,
                                const std::vector<std::string>& sites) const {
    std::vector<FakeImage> made;
    const int classes = static_cast<int>(classes_.size());
    for (int i = 0; i < images; ++i) {
      const int patient = i / per_patient;
      made.push_back(
          {fmt::format("{}{}.png", prefix, i), fmt::format("{}patient{}", prefix, patient),
           sites[(patient / classes) % sites.size()], patient % classes, DeriveSeed(1, prefix, i)});
    }
    return made;
  }

  struct Model {
    int repeat = 1, fold = 1;
    std::string arm, site;
    double skill = 1.5;
    uint64_t luck = 0;
  };
  // The model's probabilities for an image: softmax of skill * truth + the image's difficulty + the
  // model's own noise.
  std::vector<float> Probabilities(const Model& model, const FakeImage& image) const {
    Random shared(7, "image", image.number);
    Random own(model.luck, model.arm + "/" + model.site, image.number, model.repeat, model.fold);
    std::vector<double> e(classes_.size());
    double sum = 0;
    for (size_t c = 0; c < e.size(); ++c) {
      const bool truth = static_cast<int>(c) == image.label;
      e[c] = std::exp((truth ? model.skill : 0) + 0.8 * shared.Normal() + 0.4 * own.Normal());
      sum += e[c];
    }
    std::vector<float> p;
    for (const double v : e) p.push_back(static_cast<float>(v / sum));
    return p;
  }
  void Predict(const Model& model, const std::string& split, const std::vector<FakeImage>& images) {
    for (const FakeImage& image : images) Row(model, split, image, Probabilities(model, image));
  }
  void Row(const Model& model, const std::string& split, const FakeImage& image,
           const std::vector<float>& p) {
    csv_ += fmt::format("{},{},{},{},{},{},{},{},{}", model.repeat, model.fold, model.arm,
                        Quoted(model.site), split, Quoted(image.file), Quoted(image.patient),
                        Quoted(image.site), Quoted(classes_[image.label]));
    for (const float v : p) csv_ += fmt::format(",{:.9g}", v);
    csv_ += "\n";
  }

  void Write(bool with_predictions = true) const {
    std::ofstream(folder_ / "journal.jsonl", std::ios::binary) << journal_;
    if (with_predictions) std::ofstream(folder_ / "predictions.csv", std::ios::binary) << csv_;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  static std::string Quoted(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
      if (c == '"') quoted += '"';
      quoted += c;
    }
    return quoted + "\"";
  }

  std::vector<std::string> classes_;
  const TemporaryFolder folder_;
  std::string csv_, journal_;
  nlohmann::json data_;
  int events_ = 0;
};

}  // namespace manako

#endif  // MANAKO_REPORT_FAKE_RUN_H_
