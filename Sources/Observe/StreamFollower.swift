/// Puts segments in order and gives them to their stream's parser: what comes twice counts once, what
/// comes early waits for a while, what the capture has missed is passed over.
struct StreamFollower {
  typealias Flow = FlowTable.Flow

  /// A segment that is missing is given up when so many later ones wait, or so many bytes of them.
  private static let heldSegmentsMax = 16
  private static let heldBytesMax = 1 << 20
  /// All that may wait, in bytes.
  private static let heldTotalMax = 32 << 20
  /// A segment further away than this, in bytes, is of another connection with the same ports.
  private static let distanceMax = 64 << 20

  private(set) var heldBytes = 0
  /// Flows with segments that wait.
  private(set) var flowsWaiting = 0
  /// Bytes that were sent and not captured.
  private(set) var missingBytes: UInt64 = 0
  /// How often some were.
  private(set) var gaps: UInt64 = 0
  /// Segments that brought nothing new.
  private(set) var repeated: UInt64 = 0

  /// A segment of this flow with `bytes` captured of `length`.
  mutating func segment(
    _ flow: UnsafeMutablePointer<Flow>, sequence: UInt32, bytes: UnsafeRawBufferPointer,
    length: Int, _ sink: inout some RequestSink
  ) {
    var ahead = Int(Int32(bitPattern: sequence &- flow.pointee.expected))
    if abs(ahead) > Self.distanceMax {
      drop(flow)
      flow.pointee.parser.passOver(.max)
      flow.pointee.expected = sequence
      ahead = 0
    }
    if ahead > 0 {
      hold(flow, sequence: sequence, bytes: bytes, length: length)
      if isTooMuch(flow) { giveUp(flow, &sink) }
      return
    }
    deliver(flow, sequence: sequence, bytes: bytes, length: length, &sink)
    if !flow.pointee.held.isEmpty { deliverHeld(flow, &sink) }
  }

  /// The server has everything before `acknowledgment`: what of that is missing here, stays so.
  mutating func acknowledged(
    _ flow: UnsafeMutablePointer<Flow>, _ acknowledgment: UInt32, _ sink: inout some RequestSink
  ) {
    while let first = flow.pointee.held.first,
      Int32(bitPattern: acknowledgment &- flow.pointee.expected) > 0,
      Int32(bitPattern: acknowledgment &- first.sequence) >= 0
    {
      passOver(flow, to: first.sequence)
      deliverHeld(flow, &sink)
    }
  }

  /// Nothing more is coming, or the flow is forgotten: what waits is taken as it is.
  mutating func end(_ flow: UnsafeMutablePointer<Flow>, _ sink: inout some RequestSink) {
    while !flow.pointee.held.isEmpty { giveUp(flow, &sink) }
  }

  /// Without taking what waits.
  mutating func drop(_ flow: UnsafeMutablePointer<Flow>) {
    guard !flow.pointee.held.isEmpty else { return }
    for segment in flow.pointee.held { heldBytes -= segment.bytes.count }
    flow.pointee.held = []
    flowsWaiting -= 1
  }

  private mutating func deliver(
    _ flow: UnsafeMutablePointer<Flow>, sequence: UInt32, bytes: UnsafeRawBufferPointer,
    length: Int, _ sink: inout some RequestSink
  ) {
    let known = Int(Int32(bitPattern: flow.pointee.expected &- sequence))
    guard known < length else {
      if length > 0 { repeated += 1 }
      return
    }
    if known < bytes.count { flow.pointee.parser.consume(bytes.from(known), &sink) }
    let missing = length - max(known, bytes.count)
    if missing > 0 { note(flow, missing: missing) }
    flow.pointee.expected = sequence &+ UInt32(truncatingIfNeeded: length)
  }

  private mutating func note(_ flow: UnsafeMutablePointer<Flow>, missing: Int) {
    flow.pointee.parser.passOver(missing)
    missingBytes += UInt64(missing)
    gaps += 1
  }

  private mutating func hold(
    _ flow: UnsafeMutablePointer<Flow>, sequence: UInt32, bytes: UnsafeRawBufferPointer, length: Int
  ) {
    var place = flow.pointee.held.count
    while place > 0,
      Int32(bitPattern: flow.pointee.held[place - 1].sequence &- sequence) > 0
    {
      place -= 1
    }
    if flow.pointee.held.isEmpty { flowsWaiting += 1 }
    flow.pointee.held.insert(
      FlowTable.HeldSegment(sequence: sequence, length: length, bytes: Array(bytes)), at: place)
    heldBytes += bytes.count
  }

  private func isTooMuch(_ flow: UnsafeMutablePointer<Flow>) -> Bool {
    let held = flow.pointee.held
    return held.count > Self.heldSegmentsMax || heldBytes > Self.heldTotalMax
      || held.reduce(0) { $0 + $1.bytes.count } > Self.heldBytesMax
  }

  /// Passes over what is missing before the first segment that waits.
  private mutating func giveUp(
    _ flow: UnsafeMutablePointer<Flow>, _ sink: inout some RequestSink
  ) {
    guard let first = flow.pointee.held.first else { return }
    passOver(flow, to: first.sequence)
    deliverHeld(flow, &sink)
  }

  private mutating func passOver(_ flow: UnsafeMutablePointer<Flow>, to sequence: UInt32) {
    let missing = Int(Int32(bitPattern: sequence &- flow.pointee.expected))
    guard missing > 0 else { return }
    note(flow, missing: missing)
    flow.pointee.expected = sequence
  }

  private mutating func deliverHeld(
    _ flow: UnsafeMutablePointer<Flow>, _ sink: inout some RequestSink
  ) {
    while let first = flow.pointee.held.first,
      Int32(bitPattern: first.sequence &- flow.pointee.expected) <= 0
    {
      flow.pointee.held.removeFirst()
      heldBytes -= first.bytes.count
      first.bytes.withUnsafeBytes {
        deliver(flow, sequence: first.sequence, bytes: $0, length: first.length, &sink)
      }
      if flow.pointee.held.isEmpty { flowsWaiting -= 1 }
    }
  }
}
