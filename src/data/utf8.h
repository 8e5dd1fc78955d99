// UTF-8 text, and safe display of names that may hold any bytes.
#ifndef MANAKO_DATA_UTF8_H_
#define MANAKO_DATA_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace manako {

// The first byte that is no part of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates),
// or bytes.size().
size_t FindInvalidUtf8(std::string_view bytes);

// The same text with every control character, every `%` before two hexadecimal digits and every
// byte outside UTF-8 as %XX, so that it is one line of valid UTF-8 and two different names stay
// different.
std::string ToDisplay(std::string_view bytes);

// ASCII letters in lower case, all else as it is.
std::string ToLowerAscii(std::string_view text);

}  // namespace manako

#endif  // MANAKO_DATA_UTF8_H_
