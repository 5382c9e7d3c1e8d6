import Logging
import Testing

@testable import hotrack

@Suite struct LogOutputTests {
  @Test(arguments: [
    ("8:123", true), ("8:124", false), ("9:123", false), ("8:123:1", false), ("8", false),
    (":", false), ("", false), (nil, false), ("8:x", false),
  ])
  func theJournalIsToldByItsStream(_ stream: String?, _ isJournal: Bool) {
    #expect(LogOutput.names(stream, device: 8, inode: 123) == isJournal)
  }

  @Test(arguments: zip(Logger.Level.allCases, [7, 7, 6, 5, 4, 3, 2]))
  func levelsAreThoseOfSyslog(_ level: Logger.Level, _ priority: Int) {
    let text = JournalLog.text(level, label: "controller", message: "hello", metadata: [:])
    #expect(text == "<\(priority)>controller: hello\n")
  }

  /// A line without a priority would be one of another kind.
  @Test func everyLineHasItsPriority() {
    let text = JournalLog.text(
      .warning, label: "a", message: "one\n\ntwo", metadata: ["y": "2", "x": "1"])
    #expect(text == "<4>a: one\n<4>two x=1 y=2\n")
  }
}
