import Foundation
import Testing

@testable import Bench

@Suite struct ReportPageTests {
  private let page = ReportPage(file: "docs/performance.md")
  private let text = """
    # Title

    <!-- bench rack -->
    old
    <!-- /bench rack -->

    Words <!-- bench inside --> a line.
    <!-- bench other -->
    <!-- /bench other -->

    """

  @Test func onlyTheSectionChanges() throws {
    let new = try page.replacing("rack", in: text, by: "new\n")
    #expect(new == text.replacing("old", with: "\nnew\n"))
    #expect(try page.replacing("rack", in: new, by: "new\n") == new)
    #expect(
      try page.replacing("other", in: text, by: "x").hasSuffix(
        "-->\n\nx\n\n<!-- /bench other -->\n"))
  }

  @Test func aMissingOrBrokenSectionIsAnError() {
    #expect(throws: ReportError.noSection(name: "none", file: page.file)) {
      try page.replacing("none", in: text, by: "")
    }
    // Not on a line of its own.
    #expect(throws: ReportError.noSection(name: "inside", file: page.file)) {
      try page.replacing("inside", in: text, by: "")
    }
    for broken in [
      "<!-- bench a -->\n", "<!-- /bench a -->\n<!-- bench a -->\n",
      "<!-- bench a -->\n<!-- bench a -->\n<!-- /bench a -->\n",
    ] {
      #expect(throws: ReportError.brokenSection(name: "a", file: page.file)) {
        try page.replacing("a", in: broken, by: "")
      }
    }
  }

  @Test func filesAreWrittenWholeOrNotAtAll() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "hotrack-report-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "page.md").path
    let page = ReportPage(file: file)
    #expect(throws: ReportError.self) { try page.write("rack", "x") }
    #expect(!FileManager.default.fileExists(atPath: file))
    try writeText(text, to: file)
    #expect(throws: ReportError.self) { try page.write("none", "x") }
    #expect(try String(contentsOfFile: file, encoding: .utf8) == text)
    try page.check("rack")
    try page.write("rack", "x")
    #expect(try String(contentsOfFile: file, encoding: .utf8).contains("-->\n\nx\n\n<!--"))
  }

  @Test func linksAreRelativeToThePage() {
    #expect(page.link(to: "docs/plots/rack.svg") == "plots/rack.svg")
    #expect(page.link(to: "docs/rack.svg") == "rack.svg")
    #expect(page.link(to: "elsewhere/rack.svg") == "elsewhere/rack.svg")
  }
}

@Suite struct ReportSectionTests {
  private let table = MarkdownTable(
    [.words("policy"), "ops/s"], rows: [["home", "4,700"], ["a|b", "5"]])

  @Test func tablesAreAligned() {
    #expect(
      table.markdown == """
        | policy | ops/s |
        | ------ | ----: |
        | home   | 4,700 |
        | a\\|b   |     5 |

        """)
    #expect(table.text == "POLICY  OPS/S\nhome    4,700\na|b         5")
  }

  @Test func theCommandStandsAboveTheTable() throws {
    let section = ReportSection(
      command: "hotrack bench rack", tables: [table], remarks: ["A remark."],
      drawing: ReportSection.Drawing(title: "Load", path: "plots/rack.svg"), machine: "a machine")
    let parts = ["```\nhotrack bench rack\n```", "| home ", "A remark.", "![Load](plots/rack.svg)"]
    let places = try parts.map { try #require(section.markdown.range(of: $0)).lowerBound }
    #expect(places == places.sorted())
  }

  @Test func aMachineIsDescribedInOneLine() {
    let machine = MachineDescription(
      cpuInfo: "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu hypervisor\n",
      memoryInfo: "MemTotal:       16777216 kB\n", cores: 2, kernel: "Linux 6.18")
    #expect(machine.text == "Some CPU, 2 virtual cores, 16 GiB; Linux 6.18")
    let bare = MachineDescription(cpuInfo: "", memoryInfo: "", cores: 1, kernel: "Linux")
    #expect(bare.text == "unknown processor, 1 core, 0 GiB; Linux")
  }
}
