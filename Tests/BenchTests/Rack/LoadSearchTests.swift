import Testing

@testable import Bench

@Suite struct LoadSearchTests {
  /// Searches where loads up to `limit` hold; returns what was found and after how many looks.
  private func search(
    limit: Double, guess: Double, highest: Double = 32_000, resolution: Double = 0.01
  ) -> (held: Double?, looks: Int) {
    var search = LoadSearch(guess: guess, highest: highest, resolution: resolution)
    var looks = 0
    while let load = search.next, looks < 1_000 {
      #expect(load <= highest)
      search.record(load, holds: load <= limit)
      looks += 1
    }
    return (search.held, looks)
  }

  @Test func itFindsTheLimitWhereverItBegins() throws {
    for limit in stride(from: 50.0, through: 31_950, by: 100) {
      for guess in [300.0, 4_700, 32_000] {
        let (held, looks) = search(limit: limit, guess: guess)
        let load = try #require(held)
        #expect(load <= limit && load >= limit / 1.0101)
        #expect(looks < 30)
      }
    }
  }

  @Test func aGoodGuessSavesLooks() {
    for limit in stride(from: 4_600.0, through: 4_800, by: 10) {
      #expect(search(limit: limit, guess: 4_700).looks <= 5)
    }
  }

  @Test func whatCarriesEverythingIsFoundAtOnce() {
    let (held, looks) = search(limit: 40_000, guess: 40_000)
    #expect(held == 32_000 && looks == 1)
    let low = search(limit: 40_000, guess: 30_000)
    #expect(low.held == 32_000 && low.looks <= 4)
  }

  @Test func itGivesUpWhereNothingHolds() {
    let (held, looks) = search(limit: 0, guess: 4_700)
    #expect(held == nil && looks < 20)
  }

  @Test func disappointmentsLowerTheLoadMoreAndMore() {
    let search = LoadSearch(guess: 1_000, highest: 32_000, resolution: 0.01)
    var load = 1_000.0
    var loads: [Int] = []
    for failures in 1...4 {
      load = search.lowered(load, failures: failures)
      loads.append(Int(load.rounded()))
    }
    #expect(loads == [990, 980, 960, 941])
  }
}

@Suite struct SettlingTests {
  @Test func itWaitsUntilTheNumberHasComeToRest() {
    var settling = Settling()
    let counts = [0, 40, 120, 200, 240, 244, 246, 240, 247, 246]
    let settled = counts.enumerated().first { settling.isSettled($1, at: Double($0)) }
    // 240 at 4 s is the last growth that counts.
    #expect(settled?.offset == 7)
  }
}
