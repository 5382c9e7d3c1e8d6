internal import Glibc

/// How many different keys there were, estimated in 16 KiB, to about 0.8 % (one standard error).
///
/// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, AofA 2007) with 2^14 registers; below 2.5 times
/// as many keys it counts the registers that are still empty (linear counting), which is more
/// exact there. With 64-bit hashes there is no upper range to correct.
public struct DistinctCount: Sendable {
  private static let indexBits: UInt64 = 14
  private static let registerCount = 1 << Int(indexBits)
  private var registers = [UInt8](repeating: 0, count: registerCount)

  public init() {}

  /// Counts a key by its hash, of which all 64 bits must be random.
  public mutating func add(_ keyHash: UInt64) {
    let index = Int(keyHash >> (64 - Self.indexBits))
    // The bit behind the rest bounds the count of zeros.
    let rest = keyHash << Self.indexBits | 1 << (Self.indexBits - 1)
    let zeros = UInt8(rest.leadingZeroBitCount + 1)
    if registers[index] < zeros { registers[index] = zeros }
  }

  /// About so many different keys were added.
  public var estimate: Double {
    let count = Double(Self.registerCount)
    var sum = 0.0
    var empty = 0
    for register in registers {
      sum += exp2(-Double(register))
      if register == 0 { empty += 1 }
    }
    let estimate = 0.7213 / (1 + 1.079 / count) * count * count / sum
    guard estimate <= 2.5 * count, empty > 0 else { return estimate }
    return count * log(count / Double(empty))
  }
}
