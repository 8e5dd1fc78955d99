// A bad line between a site and the server, on this machine: a TCP relay that delays, slows,
// stalls, cuts and parts.
#ifndef MANAKO_TESTS_RELAY_H_
#define MANAKO_TESTS_RELAY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace manako {

// Listens on loopback and passes bytes to and from another port. `Up` is towards that port, `down`
// is back.
class Relay {
 public:
  struct Options {
    int to_port = 0;
    int delay_ms = 0;              // one way
    int64_t bytes_per_second = 0;  // each way of each connection; 0: no limit
    // What a lost packet is to the two ends of a TCP connection: with this probability a piece of
    // 1400 bytes, and all behind it, comes so much later.
    double stall_share = 0;
    int stall_ms = 0;
    bool proxy = false;   // an HTTP proxy: a connection begins with CONNECT
    int lifetime_ms = 0;  // a connection is reset so long after it was made; 0: never
    uint64_t seed = 1;
  };
  explicit Relay(Options options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  int port() const { return port_; }
  // The first connection on which so many bytes have gone that way is reset, once.
  void CutUpAt(int64_t bytes) { cut_up_ = bytes; }
  void CutDownAt(int64_t bytes) { cut_down_ = bytes; }
  // Connections stay and nothing comes through, new ones included, until Heal().
  void Part() { parted_ = true; }
  void Heal() { parted_ = false; }
  // New connections are reset at once, until Admit().
  void Refuse() { refuses_ = true; }
  void Admit() { refuses_ = false; }
  void ResetAll() { ++resets_; }

  int connections() const { return connections_; }
  int cuts() const { return cuts_; }
  // The most bytes that went that way on one connection.
  int64_t most_up() const { return most_up_; }
  int64_t most_down() const { return most_down_; }

 private:
  struct Way;
  void Accept();
  void Serve(int client, int number);
  bool Forward(Way& way, std::atomic<int64_t>& cut, std::atomic<int64_t>& most);
  bool AnswerConnect(int client) const;

  const Options options_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> ending_ = false, parted_ = false, refuses_ = false;
  std::atomic<int> resets_ = 0, connections_ = 0, cuts_ = 0;
  std::atomic<int64_t> cut_up_ = -1, cut_down_ = -1, most_up_ = 0, most_down_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<std::thread> servers_;
};

}  // namespace manako

#endif  // MANAKO_TESTS_RELAY_H_
