// What the fuzzers do with their inputs, and the corpus test with the corpora: messages as bytes,
// decoded and handled as they are when they come over the network, without it.
#ifndef MANAKO_WIRE_FUZZ_BODIES_H_
#define MANAKO_WIRE_FUZZ_BODIES_H_

#include <string_view>

namespace manako {

// The server's handlers. The first byte chooses the call (modulo their number), the rest is its
// message: Answer, ReportStatus, Download, BeginUpload, Submit, Enrol, Renew. The server has a run
// whose first round is open.
void FuzzServerCall(std::string_view bytes);

// Parts of one upload, one behind the other, each behind two bytes of length: the chunk decoder,
// and what is kept of the chunks.
void FuzzUpload(std::string_view bytes);

// A site's agent with a server's answers: the first byte chooses what the rest is (a task; a
// receipt; a status), and the agent does what it is told.
void FuzzServerAnswer(std::string_view bytes);

}  // namespace manako

#endif  // MANAKO_WIRE_FUZZ_BODIES_H_
