// The one line with which a central hospital invites a site, made to be pasted from a message into
// a terminal:
//
//   manako://fed.example.org:8443/v1/east-clinic/AUTHORITY/TOKEN/Himeji%20Eye%20Federation/CHECK
//
// AUTHORITY is the SHA-256 of the federation's authority certificate (DER), TOKEN 32 random bytes,
// CHECK the first 6 bytes of the SHA-256 of everything before it, all three in base64url. The name
// is percent-encoded and may be empty. No character means anything to a shell (but the brackets of
// an IPv6 address to some). Whoever has the line can join as that site, once, until it expires.
#ifndef MANAKO_IDENTITY_INVITATION_H_
#define MANAKO_IDENTITY_INVITATION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "identity/names.h"

namespace manako {

struct Invitation {
  ServerAddress server;
  std::string site;
  std::string ca_sha256;        // lower-case hexadecimal
  std::string token;            // kInvitationTokenBytes bytes
  std::string federation_name;  // may be empty
  friend bool operator==(const Invitation&, const Invitation&) = default;
};

constexpr size_t kInvitationTokenBytes = 32;

// A token that nobody can guess.
std::string NewInvitationToken();

// What the server keeps of a token (lower-case hexadecimal): who reads it there cannot join with
// it.
std::string TokenHash(std::string_view token);

// InvalidArgument, naming it, when one of the fields is not what it should be.
absl::StatusOr<std::string> FormatInvitation(const Invitation& invitation);

// Reads a line as it was pasted: spaces and line ends around it are nothing. InvalidArgument says
// what is wrong: it is no invitation, of another version, cut off, broken across lines, or one of
// its characters is another. The bytes may be hostile. The token is never in a message.
absl::StatusOr<Invitation> ParseInvitation(std::string_view text);

}  // namespace manako

#endif  // MANAKO_IDENTITY_INVITATION_H_
