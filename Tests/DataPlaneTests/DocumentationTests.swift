import Glibc
import Testing

/// `docs/packets.md` says of every kind of packet what the tests say of it.
@Suite struct DocumentationTests {
  @Test func everyKindOfPacketStandsInItsTableAndNoOther() throws {
    let rows = try Self.rows(ofFile: "docs/packets.md")
    let expected = Self.table.map { "| \($0.name) | \($0.endDescription) | `\($0.counter)` |" }
    for row in expected where !rows.contains(row) {
      Issue.record("docs/packets.md lacks: \(row)")
    }
    for row in rows where !expected.contains(row) {
      Issue.record("docs/packets.md has what no test shows: \(row)")
    }
  }

  private static var table: [PacketCase] {
    DecisionCases.requests + DecisionCases.reports + RefusalCases.all + RefusalCases.onIPv6
      + RefusalCases.withoutTheTag
  }

  /// Rows of three columns whose last is a counter.
  private static func rows(ofFile path: String) throws -> [String] {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try #require(fopen("/\(root)/\(path)", "r"), "no \(path)")
    defer { fclose(file) }
    var rows: [String] = []
    var line: UnsafeMutablePointer<CChar>?
    var room = 0
    while getline(&line, &room, file) > 0, let text = line.map({ String(cString: $0) }) {
      let row = text.trimmingSuffix(while: \.isNewline)
      if row.hasPrefix("| "), row.hasSuffix("` |") { rows.append(String(row)) }
    }
    free(line)
    return rows
  }
}

extension StringProtocol {
  fileprivate func trimmingSuffix(while isUnwanted: (Character) -> Bool) -> SubSequence {
    var end = endIndex
    while end > startIndex, isUnwanted(self[index(before: end)]) { end = index(before: end) }
    return self[startIndex..<end]
  }
}
