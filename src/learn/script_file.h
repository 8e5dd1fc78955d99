// Reads TorchScript files, which hold code as well as tensors, with suspicion. For use inside
// src/learn.
#ifndef MANAKO_LEARN_SCRIPT_FILE_H_
#define MANAKO_LEARN_SCRIPT_FILE_H_

#include <torch/script.h>

#include <exception>
#include <string>

#include "absl/status/statusor.h"

namespace manako {

inline constexpr char kCardFile[] = "manako.json";  // the extra file that holds the model card

struct ScriptFile {
  torch::jit::Module module;
  std::string card;  // content of kCardFile; empty where the file has none
};

// Whether the file is a zip archive with TorchScript's records in it (a state dict saved by
// torch.save is one without). False also for what is no file.
bool IsScriptFile(const std::string& path);

// TorchScript is a language of its own, so a file's code can loop for ever or take all memory; but
// what reaches beyond the module is refused: code that would run while loading (__setstate__),
// operators other than aten's and prim's, and aten's that touch files. So is any tensor whose
// extents reach past its storage. NotFound: no such file; InvalidArgument: not TorchScript,
// damaged, or refused (says why).
absl::StatusOr<ScriptFile> ReadScriptFile(const std::string& path);

// What an exception of libtorch says, in one line and without its stack trace.
std::string OneLine(const std::exception& error);

}  // namespace manako

#endif  // MANAKO_LEARN_SCRIPT_FILE_H_
