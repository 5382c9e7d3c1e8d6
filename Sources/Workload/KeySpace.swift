/// The keys of a workload: a prefix and the key's number in decimal, of fixed width, as in
/// "k00000042".
public struct KeySpace: Sendable {
  /// The number of keys.
  public let count: Int
  public let prefix: [UInt8]
  /// Bytes of every key.
  public let keyLength: Int
  private let digits: Int
  private let permutation: RankPermutation

  /// `count`: 1 ... 100,000,000. `seed` says which keys are hot. `digits`: at least as many as the
  /// largest number has.
  public init(count: Int, prefix: String = "k", digits: Int = 8, seed: UInt64) {
    precondition((1...ZipfDistribution.countMax).contains(count), "1 to 100,000,000 keys")
    self.count = count
    self.prefix = Array(prefix.utf8)
    self.digits = max(digits, String(count - 1).utf8.count)
    keyLength = self.prefix.count + self.digits
    permutation = RankPermutation(count: count, seed: seed)
  }

  /// Writes the key of a rank, 0 ..< count, to the start of `room`; returns its length.
  @discardableResult
  public func writeKey(ofRank rank: Int, into room: UnsafeMutableRawBufferPointer) -> Int {
    precondition(room.count >= keyLength)
    for (index, byte) in prefix.enumerated() { room[index] = byte }
    var number = permutation.number(ofRank: rank)
    for index in stride(from: keyLength - 1, through: prefix.count, by: -1) {
      room[index] = UInt8(ascii: "0") + UInt8(number % 10)
      number /= 10
    }
    return keyLength
  }

  /// The key of a rank, 0 ..< count.
  public func key(ofRank rank: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: keyLength) { bytes, count in
      count = writeKey(ofRank: rank, into: UnsafeMutableRawBufferPointer(bytes))
    }
  }

  /// The rank of a key, if it is one of this space.
  public func rank(ofKey key: some Collection<UInt8>) -> Int? {
    guard key.count == keyLength, key.starts(with: prefix) else { return nil }
    var number = 0
    for byte in key.dropFirst(prefix.count) {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      number = number * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return number < count ? permutation.rank(ofNumber: number) : nil
  }
}
