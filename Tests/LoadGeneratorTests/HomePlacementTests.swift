import LoadGenerator
import Testing
import Workload

@Suite struct HomePlacementTests {
  private func placement(_ alpha: Double, keys: Int = 100_000, servers: Int = 8) -> HomePlacement {
    HomePlacement(
      popularity: ZipfDistribution(count: keys, alpha: alpha),
      keys: KeySpace(count: keys, seed: 1), hashSeed: 7, servers: servers)
  }

  @Test func sharesAreOfAllRequests() {
    for alpha in [0, 0.99, 1.2] {
      let placement = placement(alpha)
      #expect(placement.shares.count == 8)
      #expect(abs(placement.shares.reduce(0, +) - 1) < 1e-6)
    }
    #expect(placement(1.2, servers: 1).idealHomeShare > 0.999999)
  }

  @Test func theMostPopularKeyBoundsPlainHashing() {
    let popularity = ZipfDistribution(count: 100_000, alpha: 1.2)
    let ideal = placement(1.2).idealHomeShare
    #expect(ideal <= 1 / (8 * popularity.shareOfRank(0)))
    #expect(ideal > 0.3)
    // A uniform load is even but for the chance of hashing.
    #expect(placement(0).idealHomeShare > 0.95)
  }

  @Test func hotKeysLeaveTheirHomes() {
    let placement = placement(1.2)
    let popularity = ZipfDistribution(count: 100_000, alpha: 1.2)
    #expect(placement.coldShares(hot: 0) == placement.shares)
    let cold = placement.coldShares(hot: 200).reduce(0, +)
    #expect(abs(cold - (1 - popularity.shareOfHottest(200))) < 1e-6)
  }

  @Test func steeringFillsWhatIsFree() {
    let placement = placement(1.2)
    #expect(placement.idealShare(hot: 0, steered: 1) == placement.idealHomeShare)
    // The cold keys alone fill no server: reads that go where there is room use all of them.
    #expect(placement.idealShare(hot: 200, steered: 1) == 1)
    // Spread evenly on top of uneven cold keys.
    let even = placement.idealShare(hot: 200, steered: 0)
    #expect(even < 1 && even > 0.8)
    let some = placement.idealShare(hot: 200, steered: 0.5)
    #expect(even < some && some <= 1)
  }
}
