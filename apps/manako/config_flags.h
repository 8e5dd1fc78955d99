// Command line flags for every field of RunConfig.
#ifndef MANAKO_APPS_MANAKO_CONFIG_FLAGS_H_
#define MANAKO_APPS_MANAKO_CONFIG_FLAGS_H_

#include <CLI/CLI.hpp>

#include "core/run_config.h"

namespace manako {

// Adds --key (and --no-key for switches) for every field; the usual ones stand in --help, the rest
// in --help-all.
void AddConfigFlags(CLI::App& command, RunConfig& config);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_CONFIG_FLAGS_H_
