/// Columns of text, two spaces between them.
public struct TextTable: Sendable {
  public struct Column: Sendable {
    public var title: String
    /// Numbers stand at the right of their column.
    public var isNumber: Bool

    public init(_ title: String, isNumber: Bool = false) {
      self.title = title
      self.isNumber = isNumber
    }
  }

  public let columns: [Column]

  public init(columns: [Column]) { self.columns = columns }

  /// The titles and the rows; the column `shrinking` gives up what the others need within `widthMax`.
  public func lines(_ rows: [[String]], shrinking: Int, to widthMax: Int) -> [String] {
    var widths = columns.indices.map { column in
      ([columns[column].title] + rows.map { $0[column] }).map(\.count).max() ?? 0
    }
    let total = widths.reduce(0, +) + 2 * (columns.count - 1)
    widths[shrinking] -= min(max(0, total - widthMax), max(0, widths[shrinking] - 8))
    return ([columns.map(\.title)] + rows).map { row in
      let cells = columns.indices.map { column -> String in
        let cell = cut(row[column], to: widths[column])
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        return columns[column].isNumber ? padding + cell : cell + padding
      }
      let line = cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }

  /// The same as one text, without a line end behind the last line.
  public func text(_ rows: [[String]], shrinking: Int, to widthMax: Int) -> String {
    lines(rows, shrinking: shrinking, to: widthMax).joined(separator: "\n")
  }

  private func cut(_ text: String, to width: Int) -> String {
    text.count <= width ? text : text.prefix(width - 1) + "…"
  }
}
