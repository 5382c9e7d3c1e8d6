internal import Foundation

extension Plot {
  /// The chart as an SVG document. It follows the reader's choice of a light or dark page, and
  /// tells series apart by shape as well as by color.
  public var svg: String { PlotDrawing(self).text }
}

/// Lays a plot out and writes its elements: text in, text out.
private struct PlotDrawing {
  private static let width = 760.0
  private static let plotHeight = 300.0
  /// Estimated, of the small and the large font.
  private static let letter = (small: 6.6, large: 8.2)
  private static let shapes = ["circle", "square", "triangle", "diamond", "ring"]

  private let plot: Plot
  private let x: PlotScale
  private let y: PlotScale
  private let left: Double
  private let top: Double
  private let right: Double
  private let bottom: Double
  private let height: Double
  private let legend: [(name: String, x: Double, y: Double)]
  private let areLabelsSlanted: Bool

  init(_ plot: Plot) {
    self.plot = plot
    let y: PlotScale
    switch plot.content {
    case .lines(let lines):
      let points = lines.flatMap(\.points)
      x = PlotScale(plot.x, values: points.map(\.x), fromZero: false)
      y = PlotScale(
        plot.y, values: points.map(\.y) + plot.marks.map(\.y), fromZero: true)
    case .bars(let categories, let groups):
      x = PlotScale(
        Plot.Axis("", lowest: 0, highest: Double(max(categories.count, 1))), values: [],
        fromZero: false)
      let values = groups.flatMap { $0.values.compactMap(\.self) }
      y = PlotScale(plot.y, values: values + plot.marks.map(\.y), fromZero: true)
    }
    self.y = y
    let widest = y.ticks.map { y.label($0).count }.max() ?? 1
    let left = 34 + Double(widest) * Self.letter.small
    let right = Self.width - 16
    (self.left, self.right) = (left, right)
    (legend, top) = Self.legend(plot, left: left, right: right)
    bottom = top + Self.plotHeight
    var longest = 0
    if case .bars(let categories, _) = plot.content {
      longest = categories.map(\.count).max() ?? 0
      let room = (right - left) / Double(max(categories.count, 1))
      areLabelsSlanted = Double(longest) * Self.letter.small + 6 > room
    } else {
      areLabelsSlanted = false
    }
    let labels = areLabelsSlanted ? Double(longest) * Self.letter.small * 0.6 + 16 : 22
    height = bottom + labels + (plot.x.label.isEmpty ? 6 : 22)
  }

  /// One or more rows of names beneath the title; and where the chart begins below them.
  private static func legend(
    _ plot: Plot, left: Double, right: Double
  ) -> ([(name: String, x: Double, y: Double)], top: Double) {
    let names = plot.content.names
    guard names.count > 1 else { return ([], 46) }
    var entries: [(name: String, x: Double, y: Double)] = []
    var (x, y) = (left, 46.0)
    for name in names {
      let length = 34 + Double(name.count) * letter.small
      if x + length > right, x > left { (x, y) = (left, y + 18) }
      entries.append((name, x, y))
      x += length
    }
    return (entries, y + 16)
  }

  // MARK: The document

  var text: String {
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(number(Self.width)) "
        + "\(number(height))\" width=\"\(number(Self.width))\" height=\"\(number(height))\" "
        + "role=\"img\" aria-label=\"\(escaped(plot.title))\">",
      Self.style,
      "<rect class=\"page\" width=\"100%\" height=\"100%\"/>",
      element("text", "title", [("x", left), ("y", 22)], plot.title),
    ]
    lines += grid + axes
    switch plot.content {
    case .lines(let series): for (index, line) in series.enumerated() { lines += draw(line, index) }
    case .bars(let categories, let groups): lines += draw(categories, groups)
    }
    for mark in plot.marks { lines += draw(mark) }
    for (index, entry) in legend.enumerated() {
      lines.append(symbol(index, entry.x + 6, entry.y - 4))
      lines.append(element("text", "small", [("x", entry.x + 16), ("y", entry.y)], entry.name))
    }
    return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  /// Colors that people with any color vision can tell apart (after Okabe and Ito), lighter ones
  /// for a dark page.
  private static let style = """
    <style>
    text{font-family:system-ui,sans-serif;fill:#1f2328}
    .page{fill:#ffffff}.title{font-size:15px;font-weight:600}.small{font-size:12px}
    .axis{stroke:#59636e;fill:none}.grid{stroke:#d1d9e0;fill:none}
    .mark{stroke:#1f2328;stroke-dasharray:6 4;fill:none}
    .line{fill:none;stroke-width:2}
    .s0{stroke:#0072b2;fill:#0072b2}.s1{stroke:#d55e00;fill:#d55e00}
    .s2{stroke:#009e73;fill:#009e73}.s3{stroke:#a3508a;fill:#a3508a}
    .s4{stroke:#7a6a00;fill:#7a6a00}.line,.ring{fill:none}
    @media (prefers-color-scheme:dark){
    text{fill:#e6edf3}.page{fill:#0d1117}.axis{stroke:#9198a1}.grid{stroke:#30363d}
    .mark{stroke:#e6edf3}
    .s0{stroke:#56b4e9;fill:#56b4e9}.s1{stroke:#ff9a4d;fill:#ff9a4d}
    .s2{stroke:#3fd6a8;fill:#3fd6a8}.s3{stroke:#e39ac9;fill:#e39ac9}
    .s4{stroke:#f0e442;fill:#f0e442}.line,.ring{fill:none}}
    </style>
    """

  private var grid: [String] {
    var lines = y.ticks.map { tick in
      line("grid", left, height(of: tick), right, height(of: tick))
    }
    if case .lines = plot.content {
      lines += x.ticks.map { tick in line("grid", place(of: tick), top, place(of: tick), bottom) }
    }
    return lines
  }

  private var axes: [String] {
    var lines = [
      line("axis", left, top, left, bottom), line("axis", left, bottom, right, bottom),
    ]
    for tick in y.ticks {
      lines.append(
        element(
          "text", "small", [("x", left - 6), ("y", height(of: tick) + 4)], y.label(tick),
          " text-anchor=\"end\""))
    }
    let middle = (top + bottom) / 2
    lines.append(
      element(
        "text", "small", [("x", 14), ("y", middle)], plot.y.label,
        " text-anchor=\"middle\" transform=\"rotate(-90 14 \(number(middle)))\""))
    if case .lines = plot.content {
      for tick in x.ticks {
        lines.append(
          element(
            "text", "small", [("x", place(of: tick)), ("y", bottom + 16)], x.label(tick),
            " text-anchor=\"middle\""))
      }
    }
    if !plot.x.label.isEmpty {
      lines.append(
        element(
          "text", "small", [("x", (left + right) / 2), ("y", height - 8)], plot.x.label,
          " text-anchor=\"middle\""))
    }
    return lines
  }

  // MARK: Content

  private func draw(_ series: Plot.Line, _ index: Int) -> [String] {
    let points = series.points.filter {
      PlotScale.canShow($0.x, x.isLogarithmic) && PlotScale.canShow($0.y, y.isLogarithmic)
    }
    let places = points.map { "\(number(place(of: $0.x))),\(number(height(of: $0.y)))" }
    var lines: [String] = []
    if points.count > 1 {
      lines.append(
        "<polyline class=\"line s\(index % 5)\" points=\"\(places.joined(separator: " "))\"/>")
    }
    // So many shapes would hide the line that they are on.
    if points.count <= 60 {
      lines += points.map { symbol(index, place(of: $0.x), height(of: $0.y)) }
    }
    return lines
  }

  private func draw(_ categories: [String], _ groups: [Plot.Bars]) -> [String] {
    var lines: [String] = []
    let room = (right - left) / Double(max(categories.count, 1))
    let width = room * 0.76 / Double(max(groups.count, 1))
    for (category, name) in categories.enumerated() {
      let begin = left + room * Double(category)
      for (index, group) in groups.enumerated() where category < group.values.count {
        guard let value = group.values[category],
          PlotScale.canShow(value, y.isLogarithmic)
        else { continue }
        let (from, to) = (height(of: max(y.range.lowerBound, 0)), height(of: value))
        lines.append(
          "<rect class=\"s\(index % 5)\" x=\"\(number(begin + room * 0.12 + width * Double(index)))\""
            + " y=\"\(number(min(from, to)))\" width=\"\(number(max(width - 1, 0.5)))\""
            + " height=\"\(number(abs(from - to)))\"><title>"
            + escaped("\(name), \(group.name): \(y.label(value))") + "</title></rect>")
      }
      let center = begin + room / 2
      let turn =
        areLabelsSlanted
        ? " text-anchor=\"end\" transform=\"rotate(-35 \(number(center)) \(number(bottom + 14)))\""
        : " text-anchor=\"middle\""
      lines.append(
        element(
          "text", "small", [("x", center), ("y", bottom + (areLabelsSlanted ? 14 : 16))], name,
          turn))
    }
    return lines
  }

  private func draw(_ mark: Plot.Mark) -> [String] {
    guard PlotScale.canShow(mark.y, y.isLogarithmic) else { return [] }
    let place = height(of: mark.y)
    return [
      line("mark", left, place, right, place),
      element(
        "text", "small", [("x", right - 4), ("y", place - 5)], mark.name, " text-anchor=\"end\""),
    ]
  }

  /// The shape of a series, around a point.
  private func symbol(_ index: Int, _ x: Double, _ y: Double) -> String {
    let (a, b) = (number(x), number(y))
    let (l, r, u, d) = (number(x - 4), number(x + 4), number(y - 4), number(y + 4))
    if case .bars = plot.content {
      return "<rect class=\"s\(index % 5)\" x=\"\(l)\" y=\"\(u)\" width=\"9\" height=\"9\"/>"
    }
    switch Self.shapes[index % Self.shapes.count] {
    case "square":
      return "<rect class=\"s\(index % 5)\" x=\"\(l)\" y=\"\(u)\" width=\"8\" height=\"8\"/>"
    case "triangle":
      return "<polygon class=\"s\(index % 5)\" points=\"\(a),\(u) \(r),\(d) \(l),\(d)\"/>"
    case "diamond":
      return "<polygon class=\"s\(index % 5)\" points=\"\(a),\(u) \(r),\(b) \(a),\(d) \(l),\(b)\"/>"
    case "ring":
      return
        "<circle class=\"s\(index % 5) ring\" stroke-width=\"2\" cx=\"\(a)\" cy=\"\(b)\" r=\"4\"/>"
    default:
      return "<circle class=\"s\(index % 5)\" cx=\"\(a)\" cy=\"\(b)\" r=\"4\"/>"
    }
  }

  // MARK: Elements

  private func place(of value: Double) -> Double { left + (right - left) * x.place(value) }
  private func height(of value: Double) -> Double { bottom - (bottom - top) * y.place(value) }

  private func line(
    _ style: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double
  ) -> String {
    "<line class=\"\(style)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\""
      + " y2=\"\(number(y2))\"/>"
  }

  private func element(
    _ name: String, _ style: String, _ places: [(String, Double)], _ text: String,
    _ attributes: String = ""
  ) -> String {
    let places = places.map { " \($0)=\"\(number($1))\"" }.joined()
    return "<\(name) class=\"\(style)\"\(places)\(attributes)>\(escaped(text))</\(name)>"
  }

  /// One decimal is a tenth of a pixel.
  private func number(_ value: Double) -> String {
    let text = String(format: "%.1f", value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
