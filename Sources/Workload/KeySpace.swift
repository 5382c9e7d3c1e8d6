/// The keys of a workload: a prefix and the key's number in decimal, of fixed width, as in
/// "k00000042"; and which of them are popular.
public struct KeySpace: Sendable {
  /// How popularity lies over the numbers.
  public enum Order: Sendable, Hashable {
    /// Popular keys lie anywhere; `change` moves them.
    case scattered
    /// The later a key was inserted, the more popular it is. `count` keys have a rank at any time;
    /// each insertion pushes the oldest out. Numbers are given in the order of insertion and begin
    /// anew when the digits are used up.
    case latest
  }

  /// The number of keys that have a rank.
  public let count: Int
  public let prefix: [UInt8]
  /// Bytes of every key.
  public let keyLength: Int
  public let order: Order
  public private(set) var ranking: Ranking
  /// The newest key, if the order is by insertion.
  private var newest: Int
  /// Numbers that the digits can tell.
  private let numbers: Int

  /// `count`: 1 ... 100,000,000. `seed` says which keys are hot. `digits`: at least as many as the
  /// largest number has.
  public init(
    count: Int, prefix: String = "k", digits: Int = 8, order: Order = .scattered, seed: UInt64
  ) {
    precondition((1...ZipfDistribution.countMax).contains(count), "1 to 100,000,000 keys")
    self.count = count
    self.prefix = Array(prefix.utf8)
    self.order = order
    let digits = max(digits, String(count - 1).utf8.count)
    keyLength = self.prefix.count + digits
    // One more digit must fit an integer as well (`number(ofKey:)`).
    numbers = (0..<min(digits, 17)).reduce(1) { power, _ in power * 10 }
    newest = count - 1
    ranking = Ranking(count: count, seed: seed)
  }

  /// Keys of `keyLength` bytes, or as few more as the largest number needs.
  public init(
    count: Int, prefix: String = "k", keyLength: Int, order: Order = .scattered, seed: UInt64
  ) {
    self.init(
      count: count, prefix: prefix, digits: keyLength - prefix.utf8.count, order: order, seed: seed)
  }

  // MARK: Popularity

  /// Changes which keys are popular; the same changes give the same keys each time. The precondition
  /// is that it is possible among `count` keys, and that the order is `scattered`.
  public mutating func change(_ change: PopularityChange) {
    precondition(order == .scattered, "insertions alone change a popularity by age")
    ranking.make(change)
  }

  /// The number of a new key, which is the most popular from now on. The precondition is that the
  /// order is `latest`.
  public mutating func insert() -> Int {
    precondition(order == .latest)
    newest = newest + 1 < numbers ? newest + 1 : 0
    return newest
  }

  /// The number of the key of a rank, 0 ..< count.
  public func number(ofRank rank: Int) -> Int {
    switch order {
    case .scattered: return ranking.number(ofRank: rank)
    case .latest:
      precondition((0..<count).contains(rank))
      return newest >= rank ? newest - rank : newest - rank + numbers
    }
  }

  /// The rank of a key, if it is one of this space and has a rank at present.
  public func rank(ofKey key: some Collection<UInt8>) -> Int? {
    guard let number = number(ofKey: key) else { return nil }
    switch order {
    case .scattered: return number < count ? ranking.rank(ofNumber: number) : nil
    case .latest:
      let age = newest >= number ? newest - number : newest - number + numbers
      return age < count ? age : nil
    }
  }

  // MARK: Keys

  /// Writes the key of a number to the start of `room`; returns its length.
  @discardableResult
  public func writeKey(ofNumber number: Int, into room: UnsafeMutableRawBufferPointer) -> Int {
    precondition(room.count >= keyLength)
    for (index, byte) in prefix.enumerated() { room[index] = byte }
    var rest = number
    for index in stride(from: keyLength - 1, through: prefix.count, by: -1) {
      guard rest > 0 else {
        room[index] = UInt8(ascii: "0")
        continue
      }
      room[index] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    return keyLength
  }

  /// The key of a number.
  public func key(ofNumber number: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: keyLength) { bytes, count in
      count = writeKey(ofNumber: number, into: UnsafeMutableRawBufferPointer(bytes))
    }
  }

  /// Writes the key of a rank, 0 ..< count, to the start of `room`; returns its length.
  @discardableResult
  public func writeKey(ofRank rank: Int, into room: UnsafeMutableRawBufferPointer) -> Int {
    writeKey(ofNumber: number(ofRank: rank), into: room)
  }

  /// The key of a rank, 0 ..< count.
  public func key(ofRank rank: Int) -> [UInt8] { key(ofNumber: number(ofRank: rank)) }

  private func number(ofKey key: some Collection<UInt8>) -> Int? {
    guard key.count == keyLength, key.starts(with: prefix) else { return nil }
    var number = 0
    for byte in key.dropFirst(prefix.count) {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      number = number * 10 + Int(byte - UInt8(ascii: "0"))
      // Also before it could overflow.
      guard number < numbers else { return nil }
    }
    return number
  }
}
