internal import Glibc

/// How skewed a popularity is: the exponent of the Zipf distribution that fits its hottest keys
/// best, and how well it does.
public struct ZipfFit: Sendable, Equatable {
  /// The k-th most popular key is asked for in proportion to k^-alpha. 0: all alike.
  public let alpha: Double
  /// As many of the hottest keys were looked at.
  public let keys: Int
  /// The largest difference between the measured and the fitted share of the hottest 1, 2, 3 … of
  /// these keys in the requests for all of them, 0...1 (Kolmogorov and Smirnov's distance). Above
  /// `misfit` the popularity is no Zipf distribution, and alpha says little.
  public let distance: Double

  public static let misfit = 0.1
  public static let alphaMax = 8.0
  /// Fewer keys have no exponent; more add nothing but noise.
  private static let keysRange = 10...1_000
  /// A key with fewer requests may be anywhere in the order.
  private static let countLeast = 50.0

  /// `counts`: requests of the hottest keys, in descending order. Nil: too few keys that were asked
  /// for often enough.
  ///
  /// Maximum likelihood of the counts, given that a request is for one of these keys: at the best
  /// alpha the fitted mean of ln(rank) is the measured one. (As Clauset, Shalizi and Newman, SIAM
  /// Review 2009, for a distribution of ranks that is cut at both ends.)
  public init?(counts: [Double]) {
    let counts = counts.prefix(Self.keysRange.upperBound).prefix { $0 >= Self.countLeast }
    guard counts.count >= Self.keysRange.lowerBound else { return nil }
    let logarithms = counts.indices.map { log(Double($0 + 1)) }
    let total = counts.reduce(0, +)
    let measured = zip(counts, logarithms).reduce(0) { $0 + $1.0 * $1.1 } / total
    var (low, high) = (0.0, Self.alphaMax)
    for _ in 0..<40 {
      let middle = (low + high) / 2
      if Self.meanLogarithm(alpha: middle, logarithms) > measured {
        low = middle
      } else {
        high = middle
      }
    }
    alpha = (low + high) / 2
    keys = counts.count
    distance = Self.distance(alpha: alpha, logarithms, counts: counts, total: total)
  }

  private static func meanLogarithm(alpha: Double, _ logarithms: [Double]) -> Double {
    var (sum, weighted) = (0.0, 0.0)
    for logarithm in logarithms {
      let weight = exp(-alpha * logarithm)
      sum += weight
      weighted += weight * logarithm
    }
    return weighted / sum
  }

  private static func distance(
    alpha: Double, _ logarithms: [Double], counts: ArraySlice<Double>, total: Double
  ) -> Double {
    let weights = logarithms.map { exp(-alpha * $0) }
    let sum = weights.reduce(0, +)
    var (fitted, measured, most) = (0.0, 0.0, 0.0)
    for (weight, count) in zip(weights, counts) {
      fitted += weight / sum
      measured += count / total
      most = max(most, abs(fitted - measured))
    }
    return most
  }
}
