import ArgumentParser
import Bench
import Foundation

/// Where a benchmark's result goes besides the screen: the same options for all of them.
struct BenchReportOptions: ParsableArguments {
  @Flag(help: "Print the result as one JSON object.")
  var json = false

  @Option(
    help: ArgumentHelp(
      """
      Also write the result as Markdown into this page, between its lines `<!-- bench SECTION -->` \
      and `<!-- /bench SECTION -->`.
      """, valueName: "file"))
  var report: String?

  @Option(
    help: ArgumentHelp(
      "The section of that page. Default: the benchmark's name.", valueName: "name")
  )
  var section: String?

  /// To be called before measuring: throws if the page has no such section.
  func check(benchmark: String) throws {
    if let report { try ReportPage(file: report).check(section ?? benchmark) }
  }

  /// Prints the result, as JSON if that was asked for, and writes page and drawing.
  func publish(
    benchmark: String, _ result: some Encodable, text: String, tables: [MarkdownTable],
    remarks: [String] = [], plot: Plot? = nil, to drawing: BenchPlotOption? = nil
  ) throws {
    if json { try printJSON(result) } else { print(text) }
    // The result comes first, also where both outputs go to one file.
    fflush(nil)
    if let plot, let file = drawing?.plot { try writeText(plot.svg, to: file) }
    guard let report else { return }
    let page = ReportPage(file: report)
    let link = drawing?.plot.flatMap { file in
      plot.map { ReportSection.Drawing(title: $0.title, path: page.link(to: file)) }
    }
    let section = ReportSection(
      command: Self.command(CommandLine.arguments), tables: tables, remarks: remarks,
      drawing: link, machine: MachineDescription.current().text)
    try page.write(self.section ?? benchmark, section.markdown)
  }

  /// What was typed, without what only says where the result goes.
  static func command(_ arguments: [String]) -> String {
    var words = ["hotrack"]
    var rest = arguments.dropFirst()
    while let word = rest.popFirst() {
      if ["--report", "--section", "--plot"].contains(word) {
        _ = rest.popFirst()
      } else if word != "--json",
        !["--report=", "--section=", "--plot="].contains(where: word.hasPrefix)
      {
        words.append(word)
      }
    }
    return words.joined(separator: " ")
  }
}

/// For benchmarks that have something to draw.
struct BenchPlotOption: ParsableArguments {
  @Option(help: ArgumentHelp("Draw the result into this SVG file.", valueName: "file"))
  var plot: String?
}
