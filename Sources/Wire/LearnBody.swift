/// The value of a LEARN_ACK: one page of what a server has from the epoch before this one. The
/// header's version numbers the items before the page in LEARN, and those up to its end in the
/// answer; a page without items is the end.
public struct LearnBody: Sendable, Equatable {
  /// A key that may have been hot.
  public struct Key: Sendable, Equatable {
    public var hash: UInt64
    public var key: [UInt8]

    public init(hash: UInt64, key: [UInt8]) {
      self.hash = hash
      self.key = key
    }
  }

  /// The generation of the message that gave the server exactly its slots; 0: it never had any say
  /// in a rack.
  public var slotsGeneration: UInt64
  /// The newest loss that it knows of; 0: none.
  public var lossGeneration: UInt64
  public var runs: [SlotRun]
  public var keys: [Key]

  static let prefixLength = 24

  public init(
    slotsGeneration: UInt64 = 0, lossGeneration: UInt64 = 0, runs: [SlotRun] = [],
    keys: [Key] = []
  ) {
    self.slotsGeneration = slotsGeneration
    self.lossGeneration = lossGeneration
    self.runs = runs
    self.keys = keys
  }

  public var isEmpty: Bool { runs.isEmpty && keys.isEmpty }

  /// Bytes that are left for more items.
  private var room: Int {
    WireLimits.bodyLengthMax - Self.prefixLength - runs.count * SlotRun.length
      - keys.reduce(0) { $0 + Self.length(of: $1) }
  }

  /// Adds an item if it fits. Keys come after all runs.
  public mutating func add(_ run: SlotRun) -> Bool {
    guard room >= SlotRun.length else { return false }
    runs.append(run)
    return true
  }

  public mutating func add(_ key: Key) -> Bool {
    guard room >= Self.length(of: key) else { return false }
    keys.append(key)
    return true
  }

  private static func length(of key: Key) -> Int { 10 + key.key.count }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    let (runCount, keyCount) = (Int(try reader.uint16()), Int(try reader.uint16()))
    try reader.skip(4)
    (slotsGeneration, lossGeneration) = (try reader.uint64(), try reader.uint64())
    (runs, keys) = ([], [])
    for _ in 0..<runCount { runs.append(try SlotRun(from: &reader)) }
    for _ in 0..<keyCount {
      let (hash, length) = (try reader.uint64(), Int(try reader.uint16()))
      guard hash != 0, (1...WireLimits.keyLengthMax).contains(length) else {
        throw .contradictoryLengths
      }
      keys.append(Key(hash: hash, key: try reader.bytes(length)))
    }
    guard reader.remaining == 0 else { throw .contradictoryLengths }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(UInt16(runs.count))
    bytes.append(UInt16(keys.count))
    bytes.append(contentsOf: [0, 0, 0, 0])
    bytes.append(slotsGeneration)
    bytes.append(lossGeneration)
    for run in runs { run.encode(to: &bytes) }
    for key in keys {
      bytes.append(key.hash)
      bytes.append(UInt16(key.key.count))
      bytes.append(contentsOf: key.key)
    }
    return bytes
  }
}
