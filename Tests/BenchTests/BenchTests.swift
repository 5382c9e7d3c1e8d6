import Bench
import Testing

@Suite struct BenchTests {
  @Test func everyCaseIsMeasuredAgainstDecoding() {
    let results = PacketLoopBench(datagramsPerRound: 20_000, rounds: 3).run()
    #expect(
      results.map(\.name) == [
        "decode", "server_get", "server_set", "directory_cold_read", "directory_hot_read",
        "directory_cold_write", "directory_hot_write",
      ])
    #expect(results.allSatisfy { $0.nanosecondsPerDatagram > 0 })
    #expect(results[0].ratioToDecode == 1)
  }
}
