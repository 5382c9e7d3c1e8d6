import Testing
import TextTables

@Suite struct TextTablesTests {
  @Test func columnsAreAlignedAndOneGivesWay() {
    let table = TextTable(columns: [.init("KEY"), .init("RATE/S", isNumber: true)])
    #expect(
      table.text([["a", "1"], ["abcdefghijklmnop", "12345"]], shrinking: 0, to: 18)
        == "KEY         RATE/S\na                1\nabcdefghi…   12345")
    #expect(table.lines([], shrinking: 0, to: 80) == ["KEY  RATE/S"])
  }

  @Test func numbersKeepWithinTheirPlaces() {
    #expect(
      [0, 7, 99_999, 123_456, 45_600_000, 2e12].map(Numbers.short)
        == ["0", "7", "99999", "123k", "45.6M", "2000.0G"])
    #expect([0, 0.053, 0.42, 1].map(Numbers.percent) == ["0%", "5.3%", "42%", "100%"])
    #expect(Numbers.exactPercent(0.12345) == "12.35%" || Numbers.exactPercent(0.12345) == "12.34%")
    #expect(
      [0, 999, 1_000, 1_234_567].map(Numbers.thousands) == ["0", "999", "1,000", "1,234,567"])
  }
}
