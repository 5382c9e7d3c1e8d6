internal import CSockets
internal import Glibc

/// Makes messages of several datagrams each, for a `DatagramBatch`: one for each run of datagrams
/// to one receiver that are of one length (the last may be shorter).
final class DatagramJoining {
  private let messages: UnsafeMutablePointer<csockets_datagram>
  /// Datagrams in each message.
  private let runs: UnsafeMutablePointer<Int>
  private let controls: UnsafeMutableRawPointer
  private var isFirstJoined = false

  /// The kernel's limits of one message: segments (UDP_MAX_SEGMENTS was 64 before Linux 6.10), and
  /// bytes of an IP packet less its headers.
  private static let runMax = 64
  private static let bytesMax = 65_000
  private static let controlLength = Int(CSOCKETS_JOIN_CONTROL)

  init(capacity: Int) {
    messages = .allocate(capacity: capacity)
    runs = .allocate(capacity: capacity)
    controls = .allocate(byteCount: capacity * Self.controlLength, alignment: 8)
    controls.initializeMemory(
      as: UInt8.self, repeating: 0, count: capacity * Self.controlLength)
  }

  deinit {
    messages.deallocate()
    runs.deallocate()
    controls.deallocate()
  }

  /// Sends what it can; returns how many datagrams that were. Less than 0: none, for the reason in
  /// `errno`. The parts of datagrams that follow each other must do so in memory.
  func send(
    _ datagrams: UnsafeMutablePointer<csockets_datagram>, _ places: Range<Int>,
    _ descriptor: Int32
  ) -> Int {
    var count = 0
    var place = places.lowerBound
    while place < places.upperBound {
      let run = Self.run(datagrams, place..<places.upperBound)
      messages[count] = datagrams[place]
      runs[count] = run
      if run > 1 {
        messages[count].header.msg_iovlen = run
        csockets_join(
          messages + count, controls + count * Self.controlLength,
          UInt16(datagrams[place].length))
      }
      place += run
      count += 1
    }
    isFirstJoined = runs[0] > 1
    let sent = csockets_send(descriptor, messages, UInt32(count), Int32(MSG_NOSIGNAL))
    guard sent >= 0 else { return -1 }
    return (0..<Int(sent)).reduce(0) { $0 + runs[$1] }
  }

  /// Whether `errno` after `send` may mean that the kernel does not join: too old, an interface
  /// that makes no checksums, a packet too long for it.
  func isRefusal(_ code: Int32) -> Bool {
    isFirstJoined && [EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, ENOPROTOOPT].contains(code)
  }

  /// How many datagrams from the first on make one message.
  private static func run(
    _ datagrams: UnsafeMutablePointer<csockets_datagram>, _ places: Range<Int>
  ) -> Int {
    let first = datagrams[places.lowerBound]
    let limit = min(places.count, runMax, bytesMax / max(Int(first.length), 1))
    var run = 1
    while run < limit {
      let next = datagrams[places.lowerBound + run]
      guard next.length <= first.length, next.length > 0, isSameReceiver(first, next) else {
        break
      }
      run += 1
      if next.length < first.length { break }
    }
    return run
  }

  private static func isSameReceiver(_ a: csockets_datagram, _ b: csockets_datagram) -> Bool {
    guard let first = a.header.msg_name, let second = b.header.msg_name else {
      return a.header.msg_name == b.header.msg_name
    }
    let length = a.header.msg_namelen
    return length == b.header.msg_namelen && memcmp(first, second, Int(length)) == 0
  }
}
