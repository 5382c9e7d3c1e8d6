internal import Wire

/// A request that was submitted and has not ended.
struct OpenRequest {
  let token: UInt64
  let request: ClientRequest
  let keyHash: UInt64
  /// When it is given up.
  let deadline: UInt64
  var firstGeneration: UInt64 = 0
  /// The known generation that the last attempt carried.
  var sentGeneration: UInt64 = 0
  var sentAt: UInt64 = 0
  /// When it is sent again, or for the first time.
  var sendAt: UInt64 = 0
  var attempts = 0
  /// Refusals in a row that ask for a wait.
  var refusals = 0
  /// The last attempt has been refused: it is sent again by agreement, not for want of an answer.
  var isRefused = false
}

/// The requests under one client id: sequence numbers, and the mark below which all are finished.
struct ClientSession {
  let client: UInt64
  private(set) var nextSequence: UInt64 = 1
  private(set) var acknowledged: UInt64 = 1
  /// By sequence number; never iterated.
  private var open: [UInt64: OpenRequest] = [:]

  init(client: UInt64) { self.client = client }

  var isDrained: Bool { open.isEmpty }

  /// The window counts from the acknowledged mark, not from the number of open requests: servers
  /// keep no more results than fit between the mark and the newest sequence number.
  var hasRoom: Bool { nextSequence - acknowledged < UInt64(WireLimits.outstandingMax) }

  mutating func add(_ request: OpenRequest) -> UInt64 {
    let sequence = nextSequence
    nextSequence += 1
    open[sequence] = request
    return sequence
  }

  subscript(sequence: UInt64) -> OpenRequest? { open[sequence] }

  mutating func update(_ sequence: UInt64, _ change: (inout OpenRequest) -> Void) {
    guard var request = open[sequence] else { return }
    change(&request)
    open[sequence] = request
  }

  mutating func finish(_ sequence: UInt64) {
    open[sequence] = nil
    while acknowledged < nextSequence, open[acknowledged] == nil { acknowledged += 1 }
  }

  /// Sequence numbers of the open requests, ascending.
  var sequences: [UInt64] { (acknowledged..<nextSequence).filter { open[$0] != nil } }
}
