internal import CHotrack
public import Wire

/// Who sent a datagram, by where it came from; never by what it says of itself.
public enum Sender: Sendable, Equatable {
  case client
  /// The interface and addresses of this registered server.
  case server(UInt8)
  /// The rack before this one in the chain.
  case neighbour
}

/// What the directory does with a datagram.
public enum Verdict: Sendable, Equatable {
  /// On to this server, stamped.
  case steer(server: UInt8)
  /// Back to the sender: the datagram is now an answer of header length.
  case answer(Status)
  /// A reply, on to its client.
  case forward
  /// It ends here, as it should.
  case consume
  /// An answer to the controller.
  case toController
  /// Refused.
  case drop
}

extension Sender {
  /// As the decision code names it: the kind, and the number of a server.
  var raw: (rack_sender, UInt8) {
    switch self {
    case .client: (RACK_CLIENT, WireLimits.noServer)
    case .server(let number): (RACK_SERVER, number)
    case .neighbour: (RACK_NEIGHBOUR, WireLimits.noServer)
    }
  }
}

/// What the directory decided of a datagram.
public struct DirectoryDecision: Sendable {
  public var verdict: Verdict
  /// The counter that it is counted under.
  public var counter: DirectoryCounter
  /// The index of the directory entry that it concerned, if any.
  public var entry: UInt32?

  init(_ raw: rack_verdict) {
    let decision = raw.decision
    entry = decision.entry == UInt32.max ? nil : decision.entry
    counter = DirectoryCounter(rawValue: decision.counter)
    verdict =
      switch directory_action(UInt32(decision.action)) {
      case DIRECTORY_STEER: .steer(server: decision.server)
      case DIRECTORY_ANSWER: .answer(Status(rawValue: decision.status) ?? .busy)
      case DIRECTORY_FORWARD: .forward
      case DIRECTORY_CONSUME: raw.to_controller == 1 ? .toController : .consume
      default: .drop
      }
  }

  init(truncated: Void) {
    verdict = .drop
    counter = DirectoryCounter(rawValue: COUNTER_DROP_TRUNCATED.rawValue)
  }
}

extension DirectoryMemory {
  /// Decides and stamps a datagram with the data plane's own text (`bpf/rack.h`), as the XDP
  /// program does. Thread-safe.
  public func handle(
    _ datagram: UnsafeMutableRawBufferPointer, from sender: Sender
  ) -> DirectoryDecision {
    guard datagram.count >= WireLimits.headerLength, let start = datagram.baseAddress else {
      return DirectoryDecision(truncated: ())
    }
    var verdict = rack_verdict()
    let (kind, server) = sender.raw
    hotrack_rack_on_datagram(
      raw, start.assumingMemoryBound(to: hotrack_header.self), UInt32(datagram.count), kind,
      server, &verdict)
    return DirectoryDecision(verdict)
  }

  /// Breaks the decision code on purpose, to test that tests notice. Host memory only.
  public var faults: DirectoryFaults {
    get { DirectoryFaults(rawValue: raw.pointee.faults) }
    set { raw.pointee.faults = newValue.rawValue }
  }
}

/// Deliberate faults of the decision code, for tests of the tests.
public struct DirectoryFaults: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A read reply does not move the directory.
  public static let readRepliesIgnored = DirectoryFaults(rawValue: 1)
  /// A hot write goes to any server, a retry to another one.
  public static let retryAnywhere = DirectoryFaults(rawValue: 2)
  /// An error reply moves the directory like a result.
  public static let errorsMove = DirectoryFaults(rawValue: 4)
  /// Replies from before the promotion count.
  public static let sinceIgnored = DirectoryFaults(rawValue: 8)
  /// A re-sent result of a server that lacks the value passes, though nothing as new is completed.
  public static let flaggedPasses = DirectoryFaults(rawValue: 64)
  /// A request's generation is read after its entry.
  public static let generationLate = DirectoryFaults(rawValue: 32)
  /// The state word is written by two plain stores.
  public static let tornWord = DirectoryFaults(rawValue: 16)
  /// What could not be recorded passes.
  public static let unrecordedPasses = DirectoryFaults(rawValue: 128)
  /// A copy between servers gets a version of its own.
  public static let copyRestamped = DirectoryFaults(rawValue: 256)
  /// A rebase overwrites the base that the word uses.
  public static let oneBase = DirectoryFaults(rawValue: 512)
  /// Writes go on while an entry is adding or removing.
  public static let notFrozen = DirectoryFaults(rawValue: 1024)
  /// The controller's store of the mode that makes an entry hot comes before what goes with it.
  public static let hotFirst = DirectoryFaults(rawValue: 2048)
  /// The controller's store of the generation that replies must have comes before the state word.
  public static let sinceFirst = DirectoryFaults(rawValue: 4096)
}

/// What a packet is counted as (`DIRECTORY_COUNTERS` in `bpf/directory_state.h`).
public struct DirectoryCounter: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Servers' packets that lack the rack's tag.
  public static var rackTag: DirectoryCounter {
    DirectoryCounter(rawValue: COUNTER_DROP_RACK_TAG.rawValue)
  }
  /// All counters, in the order of the data plane's counter map.
  public static var all: [DirectoryCounter] {
    (0..<COUNTERS.rawValue).map(DirectoryCounter.init(rawValue:))
  }

  /// The name that the screen and JSON show, such as `hot_read` or `drop_malformed`.
  public var description: String {
    hotrack_counter_name(rawValue).map { String(cString: $0) } ?? "counter_\(rawValue)"
  }
}
