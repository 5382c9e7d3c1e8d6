import Foundation
import Testing

@testable import hotrack

@Suite struct StatsCommandTests {
  @Test func ratesAreDifferencesPerSecond() {
    let first = StatsCommand.stats(["pass": 10, "drop_stale": 5], before: [:], seconds: nil)
    #expect(first.rates == nil)
    #expect(
      StatsCommand.table(first) == "COUNTER     PACKETS\npass             10\ndrop_stale        5")
    let second = StatsCommand.stats(
      ["pass": 4_010, "drop_stale": 3], before: ["pass": 10, "drop_stale": 5], seconds: 2)
    #expect(second.rates == ["pass": 2_000, "drop_stale": 0])
    #expect(
      StatsCommand.table(second) == """
        COUNTER     PACKETS  PER SECOND
        pass          4,010       2,000
        drop_stale        3           0
        """)
    #expect(
      StatsCommand.table(StatsCommand.stats(["pass": 0], before: [:], seconds: nil))
        == "no packet yet")
  }

  @Test func timesOfEventsAreUTC() {
    #expect(EventsCommand.time(1_700_000_000_123) == "2023-11-14T22:13:20.123Z")
  }

  @Test func watchingNeedsAController() async throws {
    for command in ["status", "keys", "stats", "events", "top"] {
      let run = try await hotrack([command, "--socket", "/nonexistent.socket"])
      #expect(run.code == 1 && run.errors.contains("no controller is running"), "\(command)")
    }
    let run = try await hotrack(["status", "--watch", "0"])
    #expect(run.code == 64)
  }
}
