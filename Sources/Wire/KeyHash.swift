internal import CXXHash

/// The 64-bit hash by which the directory knows a key.
public enum KeyHash {
  /// XXH3-64 of the key with the cell's seed; 0 is taken by "no key" and becomes 1.
  public static func of(_ key: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    let hash = XXH3_64bits_withSeed(key.baseAddress, key.count, seed)
    return hash == 0 ? 1 : hash
  }

  /// As `of(_:seed:)`, for an array.
  public static func of(_ key: [UInt8], seed: UInt64) -> UInt64 {
    key.withUnsafeBytes { of($0, seed: seed) }
  }

  /// The slot of a key hash, 0 ..< 16,384: its top 14 bits.
  public static func slot(_ hash: UInt64) -> Int { Int(hash >> 50) }
}
