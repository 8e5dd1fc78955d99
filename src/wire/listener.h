// Takes connections for the server, and holds their number within what the process may have.
//
// gRPC's own listener is deaf for good once accept() has failed for want of descriptors, and holds
// a connection that says nothing for as long as a handshake may take. Here a connection waits in a
// room that costs a descriptor and nothing else, until it has begun to speak TLS: its first record
// is there, whole. Only then it is handed on. What speaks something else is closed at once. Where
// descriptors become few, the one that has waited longest goes, so strangers that knock and say
// nothing push out each other, and neither the sites that are connected nor those that come.
#ifndef MANAKO_WIRE_LISTENER_H_
#define MANAKO_WIRE_LISTENER_H_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "absl/status/statusor.h"

namespace manako {

class Listener {
 public:
  struct Options {
    std::string
        address;  // HOST:PORT; 0.0.0.0 and [::] are all addresses of this machine; port 0: any
    int64_t patience_ms = 20'000;  // with a connection that has not begun a handshake
    size_t most_waiting = 4096;
    // Descriptors that connections leave to files and to the rest of the process; 0: a quarter of
    // what it may have, from 32 to 256.
    int reserve = 0;
  };
  // Listens, but takes nothing before Run(). Unavailable: it cannot listen there.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(Options options);
  // No connection is taken any more; those that wait are closed.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  // `hand` owns the descriptor that it is given (not blocking). On a thread of the listener's.
  void Run(std::function<void(int fd)> hand);

 private:
  struct Waiting {
    int fd;
    int64_t since_ms;
  };
  Listener(Options options, int fd, int port);
  void Work();
  void Take();
  void Look(int fd);
  void Drop(int fd, bool close);
  bool MakeRoom(int* fd);

  const Options options_;
  const int fd_, port_;
  int highest_ = 0;  // descriptors from here on are not for connections
  int epoll_ = -1, end_ = -1;
  std::function<void(int fd)> hand_;
  std::list<Waiting> waiting_;  // longest first
  std::unordered_map<int, std::list<Waiting>::iterator> places_;
  std::thread thread_;
};

}  // namespace manako

#endif  // MANAKO_WIRE_LISTENER_H_
