/// Gives every rank of popularity a key number of its own, and back, so that hot keys lie scattered
/// among all keys. A bijection of 0 ..< count in constant memory.
///
/// A Feistel network of four rounds over the next power of four, walked until it is back inside
/// (Black and Rogaway: Ciphers with arbitrary finite domains, 2002): fewer than four steps on
/// average. For scattering, not for secrecy.
public struct RankPermutation: Sendable {
  public let count: Int
  private let halfBits: UInt64
  private let halfMask: UInt64
  private let roundKeys: (UInt64, UInt64, UInt64, UInt64)

  /// `count`: at least 1.
  public init(count: Int, seed: UInt64) {
    precondition(count > 0)
    self.count = count
    let bits = UInt64(Int.bitWidth - (count - 1).leadingZeroBitCount)
    halfBits = max((bits + 1) / 2, 1)
    halfMask = 1 << halfBits - 1
    var mix = seed
    roundKeys = (
      RandomSource.splitMix(&mix), RandomSource.splitMix(&mix), RandomSource.splitMix(&mix),
      RandomSource.splitMix(&mix)
    )
  }

  /// The key number of a rank, both 0 ..< count.
  public func number(ofRank rank: Int) -> Int {
    precondition((0..<count).contains(rank))
    var value = UInt64(rank)
    repeat { value = forward(value) } while value >= UInt64(count)
    return Int(value)
  }

  /// The rank of a key number, both 0 ..< count.
  public func rank(ofNumber number: Int) -> Int {
    precondition((0..<count).contains(number))
    var value = UInt64(number)
    repeat { value = backward(value) } while value >= UInt64(count)
    return Int(value)
  }

  private func forward(_ value: UInt64) -> UInt64 {
    var (left, right) = (value >> halfBits, value & halfMask)
    (left, right) = (right, left ^ round(right, roundKeys.0))
    (left, right) = (right, left ^ round(right, roundKeys.1))
    (left, right) = (right, left ^ round(right, roundKeys.2))
    (left, right) = (right, left ^ round(right, roundKeys.3))
    return left << halfBits | right
  }

  private func backward(_ value: UInt64) -> UInt64 {
    var (left, right) = (value >> halfBits, value & halfMask)
    (left, right) = (right ^ round(left, roundKeys.3), left)
    (left, right) = (right ^ round(left, roundKeys.2), left)
    (left, right) = (right ^ round(left, roundKeys.1), left)
    (left, right) = (right ^ round(left, roundKeys.0), left)
    return left << halfBits | right
  }

  private func round(_ half: UInt64, _ key: UInt64) -> UInt64 {
    var state = half ^ key
    return RandomSource.splitMix(&state) & halfMask
  }
}
