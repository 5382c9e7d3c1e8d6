internal import CHotrack
internal import Wire

/// One datagram at the directory, decided in steps: it can stop before every access to memory that
/// processors share, so that others come in between, as they do when packets are handled on several
/// processors at once. For simulations, with the host's memory. Not thread-safe.
public final class SteppedDecision {
  private let memory: DirectoryMemory
  private let sender: Sender
  private let stepped: OpaquePointer
  private let bytes: UnsafeMutableRawBufferPointer
  private let verdict: UnsafeMutablePointer<rack_verdict>
  public private(set) var isFinished = false

  /// Nothing is decided yet. Precondition: the datagram has at least the length of a header.
  public init(_ datagram: [UInt8], from sender: Sender, in memory: DirectoryMemory) {
    precondition(datagram.count >= WireLimits.headerLength)
    guard let stepped = hotrack_stepped_create() else { fatalError("out of memory") }
    self.memory = memory
    self.sender = sender
    self.stepped = stepped
    bytes = .allocate(byteCount: datagram.count, alignment: 8)
    bytes.copyBytes(from: datagram)
    verdict = .allocate(capacity: 1)
    verdict.initialize(to: rack_verdict())
    let (kind, server) = sender.raw
    hotrack_stepped_begin(
      stepped, memory.raw, bytes.baseAddress?.assumingMemoryBound(to: hotrack_header.self),
      UInt32(datagram.count), kind, server, verdict)
  }

  deinit {
    hotrack_stepped_destroy(stepped)
    bytes.deallocate()
    verdict.deallocate()
  }

  /// Goes on until `steps` accesses from now, or, with 0, to the end. Returns whether it is decided.
  public func advance(steps: Int) -> Bool {
    guard !isFinished else { return true }
    isFinished = hotrack_stepped_run(stepped, UInt32(steps)) != 0
    return isFinished
  }

  /// What was decided. Precondition: it has finished.
  public var decision: DirectoryDecision {
    precondition(isFinished)
    return DirectoryDecision(verdict.pointee)
  }

  /// The datagram as the decision left it. Precondition: it has finished.
  public var datagram: [UInt8] {
    precondition(isFinished)
    return Array(bytes)
  }
}
