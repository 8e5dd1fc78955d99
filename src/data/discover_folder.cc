#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/status_macros.h"
#include "data/discover.h"
#include "data/utf8.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

bool IsKnownImage(std::string_view lower) {
  static constexpr std::array<std::string_view, 12> kEndings = {".jpg", ".jpeg", ".jpe",  ".jfif",
                                                                ".png", ".tif",  ".tiff", ".bmp",
                                                                ".dib", ".webp", ".dcm",  ".gif"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](auto e) { return lower.ends_with(e); });
}

// What lies about in image folders and was never meant as an image.
bool IsKnownNonImage(std::string_view lower) {
  static constexpr std::array<std::string_view, 30> kEndings = {
      ".txt", ".csv", ".tsv",  ".json", ".xml",  ".yaml",  ".yml", ".toml", ".md",     ".html",
      ".pdf", ".doc", ".docx", ".xls",  ".xlsx", ".ods",   ".db",  ".ini",  ".log",    ".lnk",
      ".zip", ".gz",  ".tar",  ".7z",   ".py",   ".ipynb", ".npz", ".npy",  ".sha256", ".md5"};
  return lower.starts_with(".") || lower.starts_with("~$") || lower == "license" ||
         lower == "readme" ||
         std::any_of(kEndings.begin(), kEndings.end(), [&](auto e) { return lower.ends_with(e); });
}

absl::StatusOr<std::vector<std::string>> List(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) {
    const std::string text =
        fmt::format("cannot read folder {}: {}", ToDisplay(folder), error.message());
    if (error == std::errc::permission_denied) return absl::PermissionDeniedError(text);
    return absl::UnavailableError(text);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsFolder(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

absl::StatusOr<std::vector<std::string>> ListFolders(const std::string& folder) {
  MANAKO_ASSIGN_OR_RETURN(std::vector<std::string> names, List(folder));
  std::erase_if(names, [&](const std::string& name) {
    return name.starts_with(".") || name == "__MACOSX" || !IsFolder(folder + "/" + name);
  });
  return names;
}

using FolderId = std::pair<dev_t, ino_t>;

FolderId IdOf(const std::string& folder) {
  struct stat info;
  return ::stat(folder.c_str(), &info) == 0 ? FolderId(info.st_dev, info.st_ino) : FolderId();
}

// Collects the images below `folder`, each folder once: links may lead in circles or back to what
// was `seen`.
absl::Status Walk(const std::string& folder, const std::string& shown, const FoundImage& like,
                  std::set<FolderId>* seen, Found* found) {
  if (!seen->insert(IdOf(folder)).second) return absl::OkStatus();
  MANAKO_ASSIGN_OR_RETURN(const std::vector<std::string> names, List(folder));
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name, relative = shown + "/" + name;
    if (IsFolder(path)) {
      if (name.starts_with(".") || name == "__MACOSX") continue;
      MANAKO_RETURN_IF_ERROR(Walk(path, relative, like, seen, found));
      continue;
    }
    const std::string lower = ToLowerAscii(name);
    if (lower.starts_with(".") || (!IsKnownImage(lower) && IsKnownNonImage(lower))) continue;
    FoundImage image = like;
    image.file = ToDisplay(relative);
    image.path = path;
    found->images.push_back(std::move(image));
  }
  return absl::OkStatus();
}

// The subfolders of the last of `roots` are classes.
absl::Status AddClassFolders(const std::vector<std::string>& roots, const std::string& shown,
                             Split given, Found* found) {
  const std::string& root = roots.back();
  std::set<FolderId> above;
  for (const std::string& folder : roots) above.insert(IdOf(folder));
  MANAKO_ASSIGN_OR_RETURN(const std::vector<std::string> classes, ListFolders(root));
  if (classes.empty()) {
    return InvalidArgument(
        "{} has no class folders: put the images of each class in a folder of its own, or give a "
        "CSV manifest",
        ToDisplay(root));
  }
  for (const std::string& name : classes) {
    FoundImage like;
    like.label = ToDisplay(name);
    like.given = given;
    std::set<FolderId> seen = above;
    MANAKO_RETURN_IF_ERROR(Walk(root + "/" + name, shown + name, like, &seen, found));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Found> DiscoverFolder(const std::string& folder) {
  MANAKO_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolders(folder));
  Found found;
  std::error_code ignored;
  found.synthetic = fs::exists(folder + "/SYNTHETIC.txt", ignored);
  bool train = false, other = false;
  for (const std::string& name : names) {
    const Split split = SplitFromName(name);
    train = train || split == Split::kTrain;
    other = other || split == Split::kTest || split == Split::kValidation;
  }
  if (!train || !other) {
    MANAKO_RETURN_IF_ERROR(AddClassFolders({folder}, "", Split::kUnset, &found));
    return found;
  }
  for (const std::string& name : names) {
    const Split split = SplitFromName(name);
    if (split == Split::kUnset) continue;
    MANAKO_RETURN_IF_ERROR(
        AddClassFolders({folder, folder + "/" + name}, name + "/", split, &found));
    found.test_given = found.test_given || split == Split::kTest;
  }
  return found;
}

absl::StatusOr<std::vector<FoundImage>> FindImages(const std::vector<std::string>& paths) {
  Found found;
  for (const std::string& given : paths) {
    std::string path = given;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    std::error_code error;
    if (!fs::exists(path, error)) return NotFound("{} does not exist", ToDisplay(path));
    if (IsFolder(path)) {
      std::set<FolderId> seen;
      MANAKO_RETURN_IF_ERROR(Walk(path, path, {}, &seen, &found));
      continue;
    }
    FoundImage image;
    image.file = ToDisplay(path);
    image.path = path;
    found.images.push_back(std::move(image));
  }
  if (found.images.empty())
    return InvalidArgument("no images in {}", ToDisplay(fmt::format("{}", fmt::join(paths, ", "))));
  return std::move(found.images);
}

}  // namespace manako
