import Foundation
import Testing
import Workload

/// Draws `draws` ranks and sums up (observed − expected)² / expected over the bins: single ranks
/// while they are frequent enough, then ever wider ranges of ranks. Returns the sum and the number of
/// bins.
private func chiSquare(_ zipf: ZipfDistribution, draws: Int, seed: UInt64) -> (Double, Int) {
  var ends: [Int] = []
  var end = 0
  while end < zipf.count {
    let begin = end
    repeat {
      end = min(end < 64 ? end + 1 : end + end / 16, zipf.count)
    } while end < zipf.count
      && (zipf.shareOfHottest(end) - zipf.shareOfHottest(begin)) * Double(draws) < 20
    ends.append(end)
  }
  var observed = [Int](repeating: 0, count: ends.count)
  var random = RandomSource(seed: seed)
  for _ in 0..<draws {
    let rank = zipf.rank(using: &random)
    var (low, high) = (0, ends.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if rank < ends[middle] { high = middle } else { low = middle + 1 }
    }
    observed[low] += 1
  }
  var sum = 0.0
  var begin = 0
  for (index, end) in ends.enumerated() {
    let share = zipf.shareOfHottest(end) - zipf.shareOfHottest(begin)
    let expected = share * Double(draws)
    sum += (Double(observed[index]) - expected) * (Double(observed[index]) - expected) / expected
    begin = end
  }
  return (sum, ends.count)
}

private let alphas = [0, 1e-10, 0.5, 0.99, 1 - 1e-9, 1, 1 + 1e-9, 1.2, 2, 2.6774, 3]

@Suite struct ZipfDistributionTests {
  @Test(
    "ranks are drawn as often as their shares say", arguments: alphas,
    [1, 2, 3, 10, 1_000, 100_000_000])
  func frequencies(alpha: Double, count: Int) {
    let zipf = ZipfDistribution(count: count, alpha: alpha)
    let (sum, bins) = chiSquare(zipf, draws: 60_000, seed: 7)
    // Chi-square has the mean d and the variance 2 d; four deviations and a bit for small d.
    let freedom = Double(bins - 1)
    #expect(sum <= freedom + 4.5 * (2 * freedom).squareRoot() + 6)
  }

  @Test("the check of frequencies tells a slightly other skew apart")
  func checkIsSharp() {
    // Draws of 1.05 judged by the shares of 1.0.
    let (drawn, judged) = (
      ZipfDistribution(count: 1_000, alpha: 1.05), ZipfDistribution(count: 1_000, alpha: 1)
    )
    var random = RandomSource(seed: 7)
    var first = 0
    for _ in 0..<60_000 where drawn.rank(using: &random) == 0 { first += 1 }
    let expected = judged.shareOfRank(0) * 60_000
    #expect(Double(first) > expected + 4.5 * expected.squareRoot())
  }

  @Test("shares are exact for few keys", arguments: alphas)
  func sharesOfFew(alpha: Double) {
    let zipf = ZipfDistribution(count: 5, alpha: alpha)
    let weights = (1...5).map { pow(Double($0), -alpha) }
    let total = weights.reduce(0, +)
    for rank in 0..<5 {
      #expect(abs(zipf.shareOfRank(rank) - weights[rank] / total) < 1e-14)
    }
    #expect(abs(zipf.shareOfHottest(5) - 1) < 1e-14)
    #expect(zipf.shareOfHottest(0) == 0)
  }

  @Test("shares of many keys agree with the sum of all weights", arguments: alphas)
  func sharesOfMany(alpha: Double) {
    let count = 200_000
    let zipf = ZipfDistribution(count: count, alpha: alpha)
    var total = 0.0
    for k in stride(from: count, through: 1, by: -1) { total += pow(Double(k), -alpha) }
    #expect(abs(zipf.shareOfRank(0) * total - 1) < 1e-12)
    #expect(abs(zipf.shareOfRank(count - 1) * total / pow(Double(count), -alpha) - 1) < 1e-12)
  }

  @Test("the zeta function's known values come out")
  func knownSums() {
    // H(10^8) = ln 10^8 + gamma + 1 / (2 · 10^8)
    let harmonic = 8 * log(10.0) + 0.577_215_664_901_532_9 + 0.5e-8
    let one = ZipfDistribution(count: 100_000_000, alpha: 1)
    #expect(abs(1 / one.shareOfRank(0) / harmonic - 1) < 1e-13)
    // The sum over 1/k² is pi²/6, less about 1/n.
    let two = ZipfDistribution(count: 100_000_000, alpha: 2)
    #expect(abs(1 / two.shareOfRank(0) - (Double.pi * .pi / 6 - 1e-8)) < 1e-13)
    let uniform = ZipfDistribution(count: 100_000_000, alpha: 0)
    #expect(abs(uniform.shareOfRank(99_999_999) * 1e8 - 1) < 1e-12)
  }

  @Test("a seed gives the same ranks each time, another seed others")
  func determinism() {
    let zipf = ZipfDistribution(count: 1_000_000, alpha: 1.2)
    func draw(_ seed: UInt64) -> [Int] {
      var random = RandomSource(seed: seed)
      return (0..<100).map { _ in zipf.rank(using: &random) }
    }
    #expect(draw(1) == draw(1))
    #expect(draw(1) != draw(2))
  }
}
