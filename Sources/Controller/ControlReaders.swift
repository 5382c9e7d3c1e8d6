internal import Glibc
internal import Sockets

/// Serves the control socket inside the controller's loop: never blocks, and what it keeps for its
/// readers is bounded. A reader that does not take its answer is not heard until it does.
final class ControlReaders {
  /// Readers at the same time; one more, and the one that was silent longest is closed.
  static let readersMax = 64
  /// Bytes of a request's line.
  static let lineLengthMax = 4096
  /// Requests answered before the loop sees to its packets again.
  static let requestsPerPass = 4
  /// New readers taken in before the loop sees to its packets again.
  private static let readersPerPass = 16

  private struct Reader {
    let descriptor: Int32
    var input: [UInt8] = []
    var output: [UInt8] = []
    var sent = 0
    /// Counts up with every event, over all readers.
    var lastActive: UInt64
    /// Says no more; it is closed when its answer is sent.
    var isEnding = false
  }

  private let listener: ControlListener
  private let poll: EventPoll
  private let listenerToken: UInt64
  private var readers: [UInt64: Reader] = [:]
  private var nextToken: UInt64
  private var activity: UInt64 = 0
  private var budget = 0
  /// Answers a request.
  var answer: (ControlRequest) -> ControlAnswer = { _ in .refused("not ready") }

  /// Takes tokens from `firstToken` on for itself.
  init(_ listener: ControlListener, poll: EventPoll, firstToken: UInt64) throws(SocketError) {
    self.listener = listener
    self.poll = poll
    listenerToken = firstToken
    nextToken = firstToken + 1
    try poll.add(listener.descriptor, token: firstToken)
  }

  deinit {
    for reader in readers.values { Glibc.close(reader.descriptor) }
  }

  /// Before the events of one pass of the loop.
  func beginPass() { budget = Self.requestsPerPass }

  /// The loop saw that one of our descriptors is ready.
  func handle(_ token: UInt64, _ readiness: Readiness) {
    activity += 1
    if token == listenerToken {
      accept()
      return
    }
    guard var reader = readers[token] else { return }
    reader.lastActive = activity
    var isOpen = true
    if readiness.contains(.writable) { isOpen = flush(&reader) }
    if isOpen && reader.output.isEmpty && !reader.isEnding && budget > 0 {
      isOpen = take(&reader) && flush(&reader)
    } else if isOpen && readiness.contains(.error) {
      isOpen = false
    }
    if isOpen && !(reader.isEnding && reader.output.isEmpty) {
      watch(token, reader)
      readers[token] = reader
    } else {
      close(token)
    }
  }

  private func accept() {
    for _ in 0..<Self.readersPerPass {
      let descriptor = Glibc.accept(listener.descriptor, nil, nil)
      guard descriptor >= 0 else { return }
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      guard let peer = try? PeerCredentials(of: descriptor),
        peer.user == geteuid() || peer.user == 0
      else {
        Glibc.close(descriptor)
        continue
      }
      if readers.count >= Self.readersMax,
        let idle = readers.min(by: { $0.value.lastActive < $1.value.lastActive })?.key
      {
        close(idle)
      }
      do {
        try poll.add(descriptor, token: nextToken)
      } catch {
        Glibc.close(descriptor)
        continue
      }
      readers[nextToken] = Reader(descriptor: descriptor, lastActive: activity)
      nextToken += 1
    }
  }

  private func close(_ token: UInt64) {
    guard let reader = readers.removeValue(forKey: token) else { return }
    // Closing takes it out of the poll.
    Glibc.close(reader.descriptor)
  }

  /// While an answer waits, requests do not count: what is not read cannot fill our memory.
  private func watch(_ token: UInt64, _ reader: Reader) {
    try? poll.change(
      reader.descriptor, token: token, to: reader.output.isEmpty ? .readable : .writable)
  }

  /// Reads no further than the end of a line, so that the kernel goes on to tell of the next one,
  /// and answers it. False: the reader is gone.
  private func take(_ reader: inout Reader) -> Bool {
    var part = [UInt8](repeating: 0, count: Self.lineLengthMax + 1 - reader.input.count)
    let seen = recv(reader.descriptor, &part, part.count, Int32(MSG_PEEK))
    guard seen > 0 else { return seen < 0 && (errno == EAGAIN || errno == EINTR) }
    let end = part[..<seen].firstIndex(of: UInt8(ascii: "\n"))
    let length = recv(reader.descriptor, &part, end.map { $0 + 1 } ?? seen, 0)
    guard length > 0 else { return false }
    reader.input += part[..<length]
    if end != nil {
      budget -= 1
      reader.output = answer(line: reader.input).line()
      reader.input = []
    } else if reader.input.count > Self.lineLengthMax {
      reader.output =
        ControlAnswer.refused("a request has at most \(Self.lineLengthMax) bytes").line()
      reader.isEnding = true
    }
    return true
  }

  private func answer(line: [UInt8]) -> ControlAnswer {
    do throws(ControlProblem) {
      return answer(try ControlRequest(line: line))
    } catch {
      return .refused(error.text)
    }
  }

  /// Sends what can be sent. False: the reader is gone.
  private func flush(_ reader: inout Reader) -> Bool {
    while reader.sent < reader.output.count {
      let sent = reader.output[reader.sent...].withUnsafeBytes {
        send(reader.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard sent >= 0 else { return errno == EAGAIN || errno == EINTR }
      reader.sent += sent
    }
    (reader.output, reader.sent) = ([], 0)
    return true
  }
}
