import Foundation
import FoundationXML
import Testing

@testable import Bench

@Suite struct PlotScaleTests {
  private func scale(_ axis: Plot.Axis, _ values: [Double], fromZero: Bool = false) -> PlotScale {
    PlotScale(axis, values: values, fromZero: fromZero)
  }

  @Test func endsAndTicksAreRound() {
    let scale = scale(Plot.Axis(""), [0.13, 0.97], fromZero: true)
    #expect(scale.range == 0...1)
    #expect(scale.ticks.map(scale.label) == ["0", "0.2", "0.4", "0.6", "0.8", "1"])
  }

  @Test func aFewToTenTicksWhateverTheSize() {
    for exponent in -6...9 {
      for factor in [1.0, 1.3, 2, 3.7, 4.9, 7.1, 9.9] {
        let high = factor * pow(10, Double(exponent))
        let scale = scale(Plot.Axis(""), [0, high])
        #expect((4...12).contains(scale.ticks.count), "\(high): \(scale.ticks)")
        #expect(scale.range.upperBound >= high * (1 - 1e-9))
        #expect(scale.ticks.allSatisfy { scale.range.contains($0) })
      }
    }
  }

  @Test func placesLieBetweenTheEnds() {
    let linear = scale(Plot.Axis("", lowest: 0, highest: 10), [])
    #expect(linear.place(5) == 0.5)
    #expect(linear.place(20) == 1)
    let decades = scale(Plot.Axis("", isLogarithmic: true), [64, 900_000])
    #expect(decades.range == 10...1_000_000)
    #expect(abs(decades.place(1_000) - 0.4) < 1e-9)
    #expect(decades.ticks.map(decades.label) == ["10", "100", "1000", "10k", "100k", "1M"])
  }

  @Test func oddValuesStillGiveAnAxis() {
    #expect(scale(Plot.Axis(""), []).ticks.count > 1)
    #expect(scale(Plot.Axis(""), [3, 3]).ticks.count > 1)
    #expect(scale(Plot.Axis(""), [.nan, .infinity, 2, 4]).range == 2...4)
    #expect(scale(Plot.Axis("", isLogarithmic: true), [0, -1]).ticks == [1, 10])
  }
}

@Suite struct PlotTests {
  /// What an XML reader finds: element names with their classes, and the text.
  private final class Reader: NSObject, XMLParserDelegate {
    var elements: [String] = []
    var texts: [String] = []
    var attributes: [[String: String]] = []

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
      qualifiedName: String?, attributes: [String: String]
    ) {
      elements.append(name)
      self.attributes.append(attributes)
      texts.append("")
    }
    func parser(_ parser: XMLParser, foundCharacters text: String) { texts.append(text) }
  }

  private func read(_ plot: Plot) -> Reader {
    let (reader, parser) = (Reader(), XMLParser(data: Data(plot.svg.utf8)))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    return reader
  }

  @Test func linesHaveAPointForEachValue() {
    let plot = Plot(
      "a < b & \"c\"", x: Plot.Axis("seconds"), y: Plot.Axis("moves/s"),
      .lines([
        Plot.Line("one", [Plot.Point(0, 1), Plot.Point(1, 4), Plot.Point(2, .nan)]),
        Plot.Line("two", [Plot.Point(0, 2), Plot.Point(2, 3)]),
      ]), marks: [Plot.Mark("limit", at: 5)])
    let reader = read(plot)
    let lines = reader.attributes.compactMap { $0["points"] }.filter { $0.contains(" ") }
    #expect(lines.map { $0.split(separator: " ").count }.sorted() == [2, 2])
    let text = reader.texts.joined()
    for word in ["one", "two", "seconds", "moves/s", "limit", "a < b & \"c\""] {
      #expect(text.contains(word))
    }
  }

  @Test func barsAreAsHighAsTheirValues() throws {
    let plot = Plot(
      "shares", x: Plot.Axis(""), y: Plot.Axis("share", highest: 1),
      .bars(
        categories: ["reads", "writes"],
        [Plot.Bars("home", [0.25, nil]), Plot.Bars("replicated", [1, 0.5])]))
    let reader = read(plot)
    let heights = try zip(reader.elements, reader.attributes).filter {
      $0 == "rect" && ($1["class"] ?? "").hasPrefix("s") && $1["height"] != "9"
    }.map { try #require(Double($1["height"] ?? "")) }
    #expect(heights == [75, 300, 150])
  }

  @Test func nothingLiesOutsideThePage() throws {
    let names = (0..<20).map { "a long name of a category \($0)" }
    let plot = Plot(
      "long names", x: Plot.Axis("x"), y: Plot.Axis("y"),
      .bars(
        categories: names,
        (0..<6).map { series in
          Plot.Bars("the series \(series) of many", names.indices.map { Double($0 * 1_000) })
        }))
    let reader = read(plot)
    let page = try #require(reader.attributes.first)
    let width = try #require(Double(page["width"] ?? ""))
    let height = try #require(Double(page["height"] ?? ""))
    for element in reader.attributes.dropFirst() {
      for x in ["x", "x1", "x2"].compactMap({ element[$0] }).compactMap(Double.init) {
        #expect((0...width).contains(x))
      }
      for y in ["y", "y1", "y2"].compactMap({ element[$0] }).compactMap(Double.init) {
        #expect((0...height).contains(y))
      }
    }
  }

  @Test func anEmptyPlotIsStillADocument() {
    _ = read(Plot("nothing", x: Plot.Axis(""), y: Plot.Axis(""), .lines([])))
    _ = read(Plot("nothing", x: Plot.Axis(""), y: Plot.Axis(""), .bars(categories: [], [])))
  }

  @Test func thePageMayBeDark() {
    let plot = Plot("p", x: Plot.Axis(""), y: Plot.Axis(""), .lines([]))
    #expect(plot.svg.contains("prefers-color-scheme:dark"))
  }
}
