internal import Glibc

/// Popularity after Zipf: the key of rank r, counted from 0, is asked for in proportion to
/// (r + 1)^−alpha. Drawing takes constant time and no table, whatever the number of keys.
///
/// Rejection-inversion: Hörmann and Derflinger, Rejection-inversion to generate variates from
/// monotone discrete distributions, ACM TOMACS 1996.
public struct ZipfDistribution: Sendable {
  /// The number of ranks, 1 ... 100,000,000.
  public let count: Int
  /// The skew, 0 (uniform) ... 3.
  public let alpha: Double

  public static let countMax = 100_000_000
  public static let alphaMax = 3.0

  private let integralOfFirst: Double
  private let integralOfLast: Double
  private let acceptedDistance: Double
  /// The sum of all weights.
  private let total: Double

  /// The precondition is that `count` and `alpha` are in the ranges told of above.
  public init(count: Int, alpha: Double) {
    precondition((1...Self.countMax).contains(count), "1 to 100,000,000 keys")
    precondition((0...Self.alphaMax).contains(alpha), "a skew of 0 to 3")
    self.count = count
    self.alpha = alpha
    integralOfFirst = Self.integral(1.5, alpha) - 1
    integralOfLast = Self.integral(Double(count) + 0.5, alpha)
    acceptedDistance =
      2 - Self.inverseIntegral(Self.integral(2.5, alpha) - Self.weight(2, alpha), alpha)
    total = Self.harmonic(count, alpha)
  }

  /// Draws a rank, 0 ..< count; 0 is the most popular.
  public func rank(using random: inout RandomSource) -> Int {
    while true {
      let u = integralOfLast + random.unit() * (integralOfFirst - integralOfLast)
      let x = Self.inverseIntegral(u, alpha)
      let k = min(max((x + 0.5).rounded(.down), 1), Double(count))
      // The first test spares most draws the second, exact one.
      if k - x <= acceptedDistance
        || u >= Self.integral(k + 0.5, alpha) - Self.weight(k, alpha)
      {
        return Int(k) - 1
      }
    }
  }

  /// The share of all requests that asks for the key of this rank, 0 ..< count.
  public func shareOfRank(_ rank: Int) -> Double {
    precondition((0..<count).contains(rank))
    return Self.weight(Double(rank + 1), alpha) / total
  }

  /// The share of all requests that asks for one of the `ranks` most popular keys.
  public func shareOfHottest(_ ranks: Int) -> Double {
    ranks <= 0 ? 0 : Self.harmonic(min(ranks, count), alpha) / total
  }

  // MARK: Numerics

  /// x^−alpha.
  private static func weight(_ x: Double, _ alpha: Double) -> Double { exp(-alpha * log(x)) }

  /// The integral of x^−alpha from 1 to x: (x^(1−alpha) − 1) / (1 − alpha), and log x at 1.
  private static func integral(_ x: Double, _ alpha: Double) -> Double {
    let logX = log(x)
    return expm1OverX((1 - alpha) * logX) * logX
  }

  private static func inverseIntegral(_ y: Double, _ alpha: Double) -> Double {
    // Rounding may bring it below −1, the limit at x = 0.
    let t = max(y * (1 - alpha), -1)
    return exp(log1pOverX(t) * y)
  }

  /// (e^x − 1) / x, right also where x is near 0.
  private static func expm1OverX(_ x: Double) -> Double {
    abs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2 * (1 + x / 3)
  }

  /// log(1 + x) / x, right also where x is near 0.
  private static func log1pOverX(_ x: Double) -> Double {
    abs(x) > 1e-8 ? log1p(x) / x : 1 - x * (0.5 - x / 3)
  }

  /// Ranks whose weights are added one by one; beyond it the Euler–Maclaurin formula is exact to
  /// the last digits of a Double.
  private static let addedOneByOne = 1_000

  /// The sum of the first `count` weights.
  static func harmonic(_ count: Int, _ alpha: Double) -> Double {
    let head = min(count, addedOneByOne)
    var sum = 0.0
    // From small to large, so that little is rounded away.
    for k in stride(from: head, through: 1, by: -1) { sum += weight(Double(k), alpha) }
    guard count > head else { return sum }
    let (m, n) = (Double(head), Double(count))
    let (first, last) = (weight(m, alpha), weight(n, alpha))
    // The first and third derivative of x^−alpha.
    let slope = -alpha * (last / n - first / m)
    let third = -alpha * (alpha + 1) * (alpha + 2) * (last / (n * n * n) - first / (m * m * m))
    let rest =
      integral(n, alpha) - integral(m, alpha) + (last - first) / 2 + slope / 12 - third / 720
    return sum + rest
  }
}
