#include "site/site_config.h"

#include <map>
#include <utility>

#include "base/files.h"
#include "base/status_macros.h"
#include "core/config_toml.h"
#include "identity/names.h"

namespace manako {
namespace {

using config_toml::Quote;

// What a person who edits the file needs to know of a field, beyond its line of help.
std::string_view MoreAbout(std::string_view field) {
  static const std::map<std::string_view, std::string_view> kTexts = {
      {"data.path",
       "# The images never leave this machine. A folder with one folder for each class; a CSV file "
       "with a line for each\n"
       "# image; or an .npz file.\n"},
      {"data.group_column",
       "# Give it when a patient has several images: they must not stand on both sides of a "
       "test.\n"},
      {"policy.reports",
       "# metrics: loss, AUC, accuracy. histograms: also how many images of each class have a "
       "probability in each of some\n"
       "# hundred bins. scores: also every image's probability, without name and in no order of "
       "yours.\n"},
      {"policy.approval",
       "# run: each run, before it begins. first_round: its first round. each_round: every one. "
       "none: what the lines above and\n"
       "# below allow is done without asking. `manako site approve` or the web page answers.\n"},
      {"policy.cross_site",
       "# Such a run hands the model that was trained here, and not only the average of all, to "
       "the other sites.\n"},
      {"policy.torchscript",
       "# Such a network is a program that somebody else wrote, which would run on this "
       "machine.\n"},
      {"policy.keep_models",
       "# The final model of a run always stays here, in runs/RUN/models/.\n"},
  };
  const auto at = kTexts.find(field);
  return at == kTexts.end() ? std::string_view() : at->second;
}

std::string LabelsToml(const LabelMap& labels) {
  std::string text;
  for (const auto& [label, classes] : labels) {
    text += fmt::format("{} = {}\n", Quote(label),
                        classes.size() == 1 ? Quote(classes[0]) : config_toml::Write(classes));
  }
  return text;
}

absl::StatusOr<LabelMap> ReadLabels(const toml::table& table, const std::string& name) {
  LabelMap labels;
  for (const auto& [key, node] : table) {
    std::string one;
    std::vector<std::string> several;
    if (config_toml::Read(node, one)) {
      several = {one};
    } else if (!config_toml::Read(node, several)) {
      return InvalidArgument(
          "{}: line {}: labels.\"{}\" must be a class in quotes, or a list of classes", name,
          node.source().begin.line, std::string(key.str()));
    }
    labels[std::string(key.str())] = std::move(several);
  }
  return labels;
}

}  // namespace

absl::Status SiteConfig::Validate() const {
  config_toml::Rules rules;
  if (auto parsed = ParseServerAddress(server.address); !parsed.ok()) {
    rules.That(false, Annotate(parsed.status(), "server.address"));
  }
  if (absl::Status status = CheckSiteName(server.site); !status.ok()) {
    rules.That(false, Annotate(status, "server.site"));
  }
  if (!server.federation.empty()) {
    if (absl::Status status = CheckFederationName(server.federation); !status.ok()) {
      rules.That(false, Annotate(status, "server.federation"));
    }
  }
  rules.That(server.proxy.empty() || server.proxy == "none" || server.proxy.starts_with("http://"),
             InvalidArgument("server.proxy must be http://host:port, none or empty, but is {}",
                             server.proxy));
  rules.That(!data.path.empty(), InvalidArgument("data.path is empty: say where the images are"));
  rules.That(!data.label_column.empty() && !data.file_column.empty(),
             InvalidArgument("data.file_column and data.label_column must not be empty"));
  rules.That(
      data.site_value.empty() || !data.site_column.empty(),
      InvalidArgument("data.site_value is {}, but data.site_column is empty: name the column",
                      data.site_value));
  rules.Range("data.max_bad", data.max_bad, 0, 1);
  if (!(data.test_share < 0)) rules.Range("data.test_share", data.test_share, 0.01, 0.9);
  if (!(data.validation_share < 0)) {
    rules.Range("data.validation_share", data.validation_share, 0, 0.9);
  }
  for (const auto& [label, classes] : labels) {
    for (const std::string& name : classes) {
      rules.That(
          !name.empty(),
          InvalidArgument("labels.\"{}\" is an empty text: name a class, or write [] to leave "
                          "these images out",
                          label));
    }
  }
  rules.Range("policy.min_images_per_class", policy.min_images_per_class, 0, 1000000);
  rules.OneOf("policy.reports", policy.reports, {"metrics", "histograms", "scores"});
  rules.Range("policy.max_rounds_per_day", policy.max_rounds_per_day, 0, 1000000);
  rules.OneOf("policy.approval", policy.approval, {"none", "run", "first_round", "each_round"});
  rules.Range("policy.min_count", policy.min_count, 0, 1000);
  rules.OneOf("policy.keep_models", policy.keep_models, {"none", "last", "best", "all"});
  rules.Range("compute.threads", compute.threads, 0, 4096);
  return rules.status();
}

std::string SiteConfig::ToToml() const {
  std::string text = config_toml::ToToml(*this);
  text += "\n[labels]\n" + LabelsToml(labels);
  return text;
}

std::string SiteConfig::ToCommentedToml() const {
  std::string text =
      "# What this site decides for itself. Read when the agent starts: `manako site check` says "
      "what it means.\n";
  std::string table;
  VisitFields(*this,
              [&](const char* section, const char* key, const auto& field, const char* help) {
                if (section != table) {
                  table = section;
                  if (table == "policy") {
                    text +=
                        "\n# Your names for what the images show, where a run calls it otherwise: "
                        "\"name here\" = \"class of the run\",\n"
                        "# or = [\"class of one run\", \"class of another\"], or = [] to leave "
                        "these images out of every run.\n"
                        "[labels]\n" +
                        LabelsToml(labels);
                  }
                  text += fmt::format("\n[{}]\n", table);
                }
                text += fmt::format("# {}\n{}{} = {}\n", help, MoreAbout(table + "." + key), key,
                                    config_toml::Write(field));
              });
  return text;
}

absl::StatusOr<SiteConfig> SiteConfig::FromToml(const std::string& text, const std::string& name) {
  MANAKO_ASSIGN_OR_RETURN(toml::table root, config_toml::Parse(text, name));
  LabelMap labels;
  if (const toml::table* table = root["labels"].as_table(); table != nullptr) {
    MANAKO_ASSIGN_OR_RETURN(labels, ReadLabels(*table, name));
    root.erase("labels");
  }
  MANAKO_ASSIGN_OR_RETURN(SiteConfig config, config_toml::FromTable<SiteConfig>(root, name));
  config.labels = std::move(labels);
  return config;
}

absl::StatusOr<SiteConfig> SiteConfig::Load(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  MANAKO_ASSIGN_OR_RETURN(SiteConfig config, FromToml(text, path));
  MANAKO_RETURN_IF_ERROR(Annotate(config.Validate(), path));
  return config;
}

}  // namespace manako
