// toml++ as it is used here: header-only, errors as values.
#ifndef MANAKO_CORE_TOML_H_
#define MANAKO_CORE_TOML_H_

// IWYU pragma: begin_exports
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// toml++ 3.3 asserts that a table's name begins as a key does, and only then looks: "[." would end
// the program. Without its assertions the same parser reports such text as the error that it is.
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>
// IWYU pragma: end_exports

#endif  // MANAKO_CORE_TOML_H_
