import Testing

@testable import hotrack

@Suite struct BenchCommandTests {
  @Test func theReportedCommandLeavesOutWhereItGoes() {
    let typed = [
      "/usr/bin/hotrack", "bench", "rack", "--report", "p.md", "--alpha", "1.2", "--plot=x.svg",
      "--section", "rack-reads", "--json",
    ]
    #expect(BenchReportOptions.command(typed) == "hotrack bench rack --alpha 1.2")
  }
}
